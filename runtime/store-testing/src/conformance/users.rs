//! Users of the installation.

use serde_json::json;
use stepbox_batch::access::{
    ExternalIdentity, InstanceRights, LinkPurpose, Member, Role, StoredPassword, User, UserChange,
};
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::JobRepository;

use crate::sample::access::*;
use crate::sample::*;

fn identity(subject: &str) -> ExternalIdentity {
    ExternalIdentity { issuer: "https://login.example".to_owned(), subject: subject.to_owned() }
}

pub async fn come_back_as_they_went(store: &dyn JobRepository) {
    assert!(!store.has_users().await.unwrap());
    let users = [
        User { password_changed_at: None, external: Some(identity("7")), ..user("ACME\\Jürgen O'Neil") },
        operator("root"),
        User { is_suspended: true, label: "Юлия \u{1a}0".to_owned(), ..user("юля") },
    ];
    for user in &users {
        let password = user.password_changed_at.map(|_| password("first"));
        store.create_user(user, password.as_ref(), &by(NOW)).await.unwrap();
    }
    assert_eq!(store.users(None, 0).await.unwrap(), users);
    for user in &users {
        assert_eq!(store.user(&user.name).await.unwrap().as_ref(), Some(user));
    }
    assert_eq!(store.user(&name("Root")).await.unwrap(), None);
    assert_eq!(store.user_of_identity(&identity("7")).await.unwrap().as_ref(), Some(&users[0]));
    let elsewhere = ExternalIdentity { issuer: "https://other.example".to_owned(), ..identity("7") };
    assert_eq!(store.user_of_identity(&elsewhere).await.unwrap(), None);
    assert!(store.has_users().await.unwrap());
}

pub async fn a_name_and_an_identity_are_taken_once(store: &dyn JobRepository) {
    let julia = User { external: Some(identity("7")), ..user("julia") };
    with_user(store, &julia).await;
    with_user(store, &user("peter")).await;
    let again = User { label: "Another".to_owned(), ..operator("julia") };
    let error = store.create_user(&again, None, &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "the user `julia` exists already");
    let same = User { external: Some(identity("7")), ..user("maria") };
    let error = store.create_user(&same, None, &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "the identity `7` exists already");
    let change = UserChange { external: Some(Some(identity("7"))), ..UserChange::default() };
    let changed = store.change_user(&name("peter"), &change, &by(NOW)).await;
    assert_eq!(told(changed), "already-exists");
    assert_eq!(store.users(None, 0).await.unwrap(), [julia, user("peter")]);
}

pub async fn change_and_say_so(store: &dyn JobRepository) {
    with_user(store, &operator("root")).await;
    with_user(store, &user("julia")).await;
    let julia = name("julia");
    let none = UserChange::default();
    let rows = [
        (UserChange { label: Some("Julia".to_owned()), ..none.clone() }, json!({ "label": "Julia" })),
        (UserChange { is_operator: Some(true), ..none.clone() }, json!({ "is_operator": true })),
        (UserChange { is_suspended: Some(true), ..none.clone() }, json!({ "is_suspended": true })),
        (
            UserChange { external: Some(Some(identity("7"))), ..none.clone() },
            json!({ "external": { "issuer": "https://login.example", "subject": "7" } }),
        ),
        (UserChange { external: Some(None), ..none.clone() }, json!({ "external": null })),
    ];
    let mut expected = user("julia");
    for (change, detail) in rows {
        expected = change.applied_to(&expected);
        assert_eq!(store.change_user(&julia, &change, &by(NOW)).await.unwrap(), expected);
        assert_eq!(store.user(&julia).await.unwrap().as_ref(), Some(&expected));
        let newest = AuditFilter { limit: 1, ..AuditFilter::default() };
        let event = store.audit_of_installation(&newest).await.unwrap().items.remove(0);
        assert_eq!((event.deed.subject.as_str(), event.deed.detail), ("julia", detail));
        // The same change again changes nothing, and says nothing.
        store.change_user(&julia, &change, &by(NOW)).await.unwrap();
        assert_eq!(store.audit_of_installation(&newest).await.unwrap()[0].id, event.id);
    }
    assert_eq!(told(store.change_user(&name("nobody"), &none, &by(NOW)).await), "not-found");
}

pub async fn come_by_name_page_by_page(store: &dyn JobRepository) {
    for text in ["c", "a", "B", "b"] {
        with_user(store, &user(text)).await;
    }
    let rows = [(None, 0, "B a b c"), (None, 2, "B a"), (Some("a"), 2, "b c"), (Some("c"), 2, "")];
    for (after, limit, expected) in rows {
        let found = store.users(after.map(name).as_ref(), limit).await.unwrap();
        let names: Vec<_> = found.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names.join(" "), expected, "{after:?} {limit}");
    }
}

fn suspend() -> UserChange {
    UserChange { is_suspended: Some(true), ..UserChange::default() }
}

pub async fn leave_an_operator(store: &dyn JobRepository) {
    with_user(store, &operator("root")).await;
    with_user(store, &User { is_suspended: true, ..operator("away") }).await;
    with_user(store, &user("julia")).await;
    let root = name("root");
    let demote = UserChange { is_operator: Some(false), ..UserChange::default() };
    let answers = [
        told(store.change_user(&root, &demote, &by(NOW)).await),
        told(store.change_user(&root, &suspend(), &by(NOW)).await),
        told(store.remove_user(&root, &by(NOW)).await),
    ];
    assert_eq!(answers, ["last-operator"; 3], "one who is suspended is none");
    assert_eq!(store.user(&root).await.unwrap(), Some(operator("root")));
    // The others may be changed and removed.
    store.change_user(&name("away"), &demote, &by(NOW)).await.unwrap();
    store.remove_user(&name("julia"), &by(NOW)).await.unwrap();
    with_user(store, &operator("second")).await;
    store.remove_user(&root, &by(NOW)).await.unwrap();
    assert_eq!(told(store.remove_user(&root, &by(NOW)).await), "not-found");
}

pub async fn leave_an_operator_also_at_once(store: &dyn JobRepository) {
    for round in 0..5 {
        let [one, other] = [format!("one{round}"), format!("other{round}")].map(|text| name(&text));
        with_user(store, &operator(one.as_str())).await;
        with_user(store, &operator(other.as_str())).await;
        if round > 0 {
            // Whoever was left of the round before.
            for user in store.users(None, 0).await.unwrap() {
                if user.name != one && user.name != other {
                    store.remove_user(&user.name, &by(NOW)).await.unwrap();
                }
            }
        }
        let (suspend, by) = (suspend(), by(NOW));
        let (removed, suspended) =
            tokio::join!(store.remove_user(&one, &by), store.change_user(&other, &suspend, &by));
        let mut answers = [told(removed), told(suspended)];
        answers.sort_unstable();
        assert_eq!(answers, ["last-operator", "ok"]);
    }
}

/// A user of the same name who comes later must have nothing of the user before.
pub async fn leave_nothing_behind(store: &dyn JobRepository) {
    with_instance(store).await;
    with_member(store, "julia", Role::Author).await;
    with_member(store, "peter", Role::Author).await;
    let julia = name("julia");
    let both = [name("julia"), name("peter")].into();
    let rights = InstanceRights { view: Some(both), ..InstanceRights::default() };
    store.set_instance_rights(&tenant(), &code("nightly"), &rights, &by(NOW)).await.unwrap();
    signed_in(store, 1, "julia").await;
    with_token(store, &token(1, "julia")).await;
    store.create_link(&link(1, Some("julia")), &by(NOW)).await.unwrap();

    store.remove_user(&julia, &by(NOW)).await.unwrap();
    assert_eq!(store.user(&julia).await.unwrap(), None);
    for round in ["nobody", "another one"] {
        assert_eq!(of_session(store, 1, NOW).await, None, "{round}");
        assert_eq!(of_token(store, 1, NOW).await, None, "{round}");
        assert_eq!(store.link(&link_hash(1), NOW).await.unwrap(), None, "{round}");
        let members = store.members(&tenant()).await.unwrap();
        assert_eq!(members, [Member { user: name("peter"), role: Role::Author }], "{round}");
        assert_eq!(store.memberships(&julia).await.unwrap(), [], "{round}");
        let left = store.instance_rights(&tenant(), &code("nightly")).await.unwrap();
        assert_eq!(left.view, Some([name("peter")].into()), "{round}");
        if round == "nobody" {
            store.create_user(&user("julia"), None, &by(NOW)).await.unwrap();
        }
    }
    assert_eq!(
        store.password(&julia).await.unwrap(),
        Some(StoredPassword { hash: None, is_suspended: false, is_external: false })
    );
    // The tenant's administrators hear of it as well.
    let of_roles = AuditFilter { action: Some(AuditAction::RoleChanged), limit: 1, ..AuditFilter::default() };
    let event = store.audit(&tenant(), &of_roles).await.unwrap().items.remove(0);
    assert_eq!(event.deed.subject, "julia");
    assert_eq!(event.deed.detail, json!({ "before": "author", "after": null }));
}

pub async fn have_passwords_that_are_checked_and_set(store: &dyn JobRepository) {
    with_user(store, &user("julia")).await;
    let julia = name("julia");
    assert_eq!(store.password(&name("nobody")).await.unwrap(), None);
    let hash = |text| StoredPassword { hash: Some(password(text)), is_suspended: false, is_external: false };
    assert_eq!(store.password(&julia).await.unwrap(), Some(hash("first")));
    let later = by(Timestamp(NOW.0 + 5));

    // Another password was expected than there is: somebody else was faster.
    let set = store.set_password(&julia, &password("second"), Some(&password("other")), &later).await;
    assert!(!set.unwrap());
    assert_eq!(store.password(&julia).await.unwrap(), Some(hash("first")));
    let set = store.set_password(&julia, &password("second"), Some(&password("first")), &later).await;
    assert!(set.unwrap());
    assert_eq!(store.password(&julia).await.unwrap(), Some(hash("second")));
    assert_eq!(store.user(&julia).await.unwrap().unwrap().password_changed_at, Some(later.at));
    assert!(store.set_password(&julia, &password("third"), None, &later).await.unwrap());
    assert_eq!(told(store.set_password(&name("nobody"), &password("x"), None, &later).await), "not-found");

    // Of two changes at once that expect the same password, one is made.
    let (a, b, expected) = (password("a"), password("b"), password("third"));
    let (one, other) = tokio::join!(
        store.set_password(&julia, &a, Some(&expected), &later),
        store.set_password(&julia, &b, Some(&expected), &later)
    );
    assert!(one.unwrap() != other.unwrap());
    assert_eq!(store.link(&link_hash(9), NOW).await.unwrap(), None::<LinkPurpose>);
}
