//! Filters that users keep under names.

use stepbox_batch::access::Role;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::JobRepository;
use stepbox_batch::saved_view::{SavedView, VIEWS_MAX};

use crate::sample::access::{name, user};
use crate::sample::*;

fn view(name: &str, filter: &str) -> SavedView {
    SavedView { name: name.to_owned(), filter: filter.to_owned() }
}

pub async fn are_kept_for_each_user_and_tenant(store: &dyn JobRepository) {
    let other = TenantId::new("other").unwrap();
    let (week, odd) = (view("Week", "type:export created:7d"), view("a \"ü\" 🙂", "\0 '"));
    store.put_view(&tenant(), &name("julia"), &week).await.unwrap();
    store.put_view(&tenant(), &name("julia"), &odd).await.unwrap();
    store.put_view(&tenant(), &name("max"), &view("Week", "user:max")).await.unwrap();
    store.put_view(&other, &name("julia"), &view("Week", "status:FAILED")).await.unwrap();

    assert_eq!(store.views(&tenant(), &name("julia")).await.unwrap(), [week.clone(), odd.clone()], "by name");
    let changed = view("Week", "created:1d");
    store.put_view(&tenant(), &name("julia"), &changed).await.unwrap();
    assert_eq!(store.views(&tenant(), &name("julia")).await.unwrap(), [changed, odd.clone()]);

    store.remove_view(&tenant(), &name("julia"), "Week").await.unwrap();
    assert_eq!(store.views(&tenant(), &name("julia")).await.unwrap(), [odd]);
    assert_eq!(told(store.remove_view(&tenant(), &name("julia"), "Week").await), "not-found");
    assert_eq!(store.views(&tenant(), &name("max")).await.unwrap(), [view("Week", "user:max")]);
    assert_eq!(store.views(&other, &name("julia")).await.unwrap(), [view("Week", "status:FAILED")]);
}

pub async fn are_few_for_each_user(store: &dyn JobRepository) {
    for number in 0..VIEWS_MAX {
        store.put_view(&tenant(), &name("julia"), &view(&format!("view {number}"), "")).await.unwrap();
    }
    let more = store.put_view(&tenant(), &name("julia"), &view("one more", "")).await;
    assert_eq!(told(more), "too-many-views");
    let again = store.put_view(&tenant(), &name("julia"), &view("view 3", "status:FAILED")).await;
    assert_eq!(told(again), "ok", "it takes no other place");
    assert_eq!(told(store.put_view(&tenant(), &name("max"), &view("one", "")).await), "ok");
}

pub async fn go_with_their_user(store: &dyn JobRepository) {
    let other = TenantId::new("other").unwrap();
    for who in ["julia", "max"] {
        store.create_user(&user(who), None, &by(NOW)).await.unwrap();
        for tenant in [&tenant(), &other] {
            let member = stepbox_batch::access::Member { user: name(who), role: Role::Author };
            store.set_member(tenant, &member, &by(NOW)).await.unwrap();
            store.put_view(tenant, &name(who), &view("Week", "")).await.unwrap();
        }
    }
    store.remove_member(&other, &name("julia"), &by(NOW)).await.unwrap();
    assert_eq!(store.views(&other, &name("julia")).await.unwrap(), []);
    assert_eq!(store.views(&tenant(), &name("julia")).await.unwrap().len(), 1);
    store.remove_user(&name("julia"), &by(NOW)).await.unwrap();
    assert_eq!(store.views(&tenant(), &name("julia")).await.unwrap(), []);
    assert_eq!(store.views(&other, &name("max")).await.unwrap().len(), 1);
}
