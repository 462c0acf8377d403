//! Roles of users in tenants, and the lists of who has which right at an instance.

use std::collections::BTreeSet;

use stepbox_batch::access::{InstanceRight, InstanceRights, Member, Right, Role, Thing};
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::JobRepository;

use crate::sample::access::*;
use crate::sample::*;

fn other() -> TenantId {
    TenantId::new("other").unwrap()
}

fn member(text: &str, role: Role) -> Member {
    Member { user: name(text), role }
}

pub async fn have_one_role_in_a_tenant(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Viewer).await;
    assert_eq!(store.members(&tenant()).await.unwrap(), [member("julia", Role::Viewer)]);
    let author = member("julia", Role::Author);
    for _ in 0..2 {
        store.set_member(&tenant(), &author, &by(NOW)).await.unwrap();
        assert_eq!(store.members(&tenant()).await.unwrap(), [author.clone()]);
    }
    let of_roles = AuditFilter { action: Some(AuditAction::RoleChanged), ..AuditFilter::default() };
    let events = store.audit(&tenant(), &of_roles).await.unwrap();
    let details: Vec<_> = events.iter().map(|event| event.deed.detail.to_string()).collect();
    let expected = [r#"{"before":"viewer","after":"author"}"#, r#"{"before":null,"after":"viewer"}"#];
    assert_eq!(details, expected, "the same role again is no change");
    store.remove_member(&tenant(), &name("julia"), &by(NOW)).await.unwrap();
    assert_eq!(store.members(&tenant()).await.unwrap(), []);
    let error = store.remove_member(&tenant(), &name("julia"), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no member `julia`");
}

pub async fn must_be_users(store: &dyn JobRepository) {
    let error = store.set_member(&tenant(), &member("nobody", Role::Viewer), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no user `nobody`");
    assert_eq!(store.members(&tenant()).await.unwrap(), []);
}

pub async fn are_of_their_tenant_alone(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    assert_eq!(store.members(&other()).await.unwrap(), []);
    assert_eq!(told(store.remove_member(&other(), &name("julia"), &by(NOW)).await), "not-found");
    store.set_member(&other(), &member("julia", Role::Viewer), &by(NOW)).await.unwrap();
    assert_eq!(store.members(&tenant()).await.unwrap(), [member("julia", Role::Author)]);
    let roles = [(tenant(), Role::Author), (other(), Role::Viewer)];
    assert_eq!(store.memberships(&name("julia")).await.unwrap(), roles);
    store.remove_member(&other(), &name("julia"), &by(NOW)).await.unwrap();
    assert_eq!(store.memberships(&name("julia")).await.unwrap(), [(tenant(), Role::Author)]);
    // Each tenant's trail has its own.
    assert_eq!(store.audit(&tenant(), &AuditFilter::default()).await.unwrap().len(), 1);
    assert_eq!(store.audit(&other(), &AuditFilter::default()).await.unwrap().len(), 2);
}

pub async fn lose_their_sessions_with_their_role(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    with_member(store, "peter", Role::Author).await;
    signed_in(store, 9, "peter").await;
    for (byte, role) in [(1, Role::Viewer), (2, Role::Administrator)] {
        signed_in(store, byte, "julia").await;
        store.set_member(&tenant(), &member("julia", role), &by(NOW)).await.unwrap();
        assert_eq!(of_session(store, byte, NOW).await, None, "{role}");
    }
    signed_in(store, 3, "julia").await;
    store.set_member(&tenant(), &member("julia", Role::Administrator), &by(NOW)).await.unwrap();
    assert!(of_session(store, 3, NOW).await.is_some(), "the same role ends nothing");
    store.remove_member(&tenant(), &name("julia"), &by(NOW)).await.unwrap();
    assert_eq!(of_session(store, 3, NOW).await, None);
    assert!(of_session(store, 9, NOW).await.is_some(), "those of others stay");
}

pub async fn are_listed_by_name(store: &dyn JobRepository) {
    for (text, role) in [("c", Role::Viewer), ("a", Role::Author), ("b", Role::Operator)] {
        with_member(store, text, role).await;
    }
    let expected = [member("a", Role::Author), member("b", Role::Operator), member("c", Role::Viewer)];
    assert_eq!(store.members(&tenant()).await.unwrap(), expected);
}

/// The lists, and what the principals of members have of them.
pub async fn are_named_in_lists_of_instances(store: &dyn JobRepository) {
    with_instance(store).await;
    store.create_instance(&instance("weekly"), &by(NOW)).await.unwrap();
    let elsewhere = JobInstance { tenant: other(), ..instance("nightly") };
    store.create_instance(&elsewhere, &by(NOW)).await.unwrap();
    for (byte, text, role) in
        [(1, "julia", Role::Author), (2, "peter", Role::Author), (3, "anna", Role::Administrator)]
    {
        with_member(store, text, role).await;
        store.set_member(&other(), &member(text, role), &by(NOW)).await.unwrap();
        signed_in(store, byte, text).await;
    }
    with_user(store, &operator("root")).await;
    signed_in(store, 4, "root").await;
    let nightly = code("nightly");
    assert_eq!(store.instance_rights(&tenant(), &nightly).await.unwrap(), InstanceRights::default());

    let rights = InstanceRights {
        view: None,
        edit: Some(BTreeSet::from([name("julia")])),
        launch: Some(BTreeSet::new()),
        history: Some(BTreeSet::from([name("julia"), name("peter")])),
    };
    store.set_instance_rights(&tenant(), &nightly, &rights, &by(NOW)).await.unwrap();
    assert_eq!(store.instance_rights(&tenant(), &nightly).await.unwrap(), rights);
    assert_eq!(store.instance_rights(&other(), &nightly).await.unwrap(), InstanceRights::default());
    assert_eq!(store.instance_rights(&tenant(), &code("weekly")).await.unwrap(), InstanceRights::default());

    let rows = [
        (1, "nightly: launch", "edit history view"),
        (2, "nightly: edit launch", "history view"),
        (3, "nightly: edit launch history", "edit history launch view"),
        // Nothing is looked up for an operator of the installation.
        (4, "", "edit history launch view"),
    ];
    for (byte, barred, may) in rows {
        let found = of_session(store, byte, NOW).await.unwrap().principal;
        let told = |(code, rights): (_, &BTreeSet<InstanceRight>)| {
            let rights: Vec<_> = rights.iter().map(|right| right.as_str()).collect();
            format!("{code}: {}", rights.join(" "))
        };
        let lists = found.barred.iter().map(told).collect::<Vec<_>>().join(", ");
        assert_eq!(lists, barred, "{byte}");
        let rights = [
            ("edit", Right::Edit, Thing::Instance(&nightly)),
            ("history", Right::History, Thing::Execution(&nightly)),
            ("launch", Right::Launch, Thing::Instance(&nightly)),
            ("view", Right::View, Thing::Instance(&nightly)),
        ];
        let left = rights.into_iter().filter(|(_, right, thing)| found.may(*right, *thing));
        assert_eq!(left.map(|(text, ..)| text).collect::<Vec<_>>().join(" "), may, "{byte}");
        // In the other tenant, the instance of the same code has no list; in no tenant, nothing is looked up.
        let session = session_hash(byte);
        let there =
            store.principal_of_session(&session, Some(&other()), NOW).await.unwrap().unwrap().principal;
        assert!(there.barred.is_empty() && there.may(Right::Edit, Thing::Instance(&nightly)), "{byte}");
        let nowhere = store.principal_of_session(&session, None, NOW).await.unwrap().unwrap().principal;
        assert!(nowhere.barred.is_empty() && !nowhere.may(Right::View, Thing::Instance(&nightly)), "{byte}");
    }

    // Lists are replaced as a whole, and can be taken away.
    let fewer = InstanceRights { view: Some(BTreeSet::from([name("peter")])), ..InstanceRights::default() };
    store.set_instance_rights(&tenant(), &nightly, &fewer, &by(NOW)).await.unwrap();
    assert_eq!(store.instance_rights(&tenant(), &nightly).await.unwrap(), fewer);
    let none = InstanceRights::default();
    store.set_instance_rights(&tenant(), &nightly, &none, &by(NOW)).await.unwrap();
    assert_eq!(store.instance_rights(&tenant(), &nightly).await.unwrap(), none);
    assert!(of_session(store, 1, NOW).await.unwrap().principal.barred.is_empty());
}

pub async fn lists_need_an_instance_and_members(store: &dyn JobRepository) {
    with_instance(store).await;
    with_member(store, "julia", Role::Author).await;
    with_user(store, &user("stranger")).await;
    let named =
        |text: &str| InstanceRights { edit: Some(BTreeSet::from([name(text)])), ..InstanceRights::default() };
    let nightly = code("nightly");
    for text in ["stranger", "nobody"] {
        let refused = store.set_instance_rights(&tenant(), &nightly, &named(text), &by(NOW)).await;
        assert_eq!(refused.unwrap_err().to_string(), format!("there is no member `{text}`"));
    }
    let refused = store.set_instance_rights(&tenant(), &code("weekly"), &named("julia"), &by(NOW)).await;
    assert_eq!(refused.unwrap_err().to_string(), "there is no instance `weekly`");
    let refused = store.set_instance_rights(&other(), &nightly, &named("julia"), &by(NOW)).await;
    assert_eq!(told(refused), "not-found", "the instance is of another tenant");
    assert_eq!(store.instance_rights(&tenant(), &nightly).await.unwrap(), InstanceRights::default());
    let of_rights =
        AuditFilter { action: Some(AuditAction::InstanceRightsChanged), ..AuditFilter::default() };
    assert_eq!(store.audit(&tenant(), &of_rights).await.unwrap(), []);
}

/// The deletion of an instance must not make its history visible, nor that of a later one of the same code.
pub async fn lists_outlive_the_instance(store: &dyn JobRepository) {
    with_instance(store).await;
    with_member(store, "julia", Role::Author).await;
    signed_in(store, 1, "julia").await;
    let nightly = code("nightly");
    let rights = InstanceRights { history: Some(BTreeSet::new()), ..InstanceRights::default() };
    store.set_instance_rights(&tenant(), &nightly, &rights, &by(NOW)).await.unwrap();
    store.delete_instance(&tenant(), &nightly, None, &by(NOW)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.instance_rights(&tenant(), &nightly).await.unwrap(), rights);
        let principal = of_session(store, 1, NOW).await.unwrap().principal;
        assert!(!principal.may(Right::History, Thing::Execution(&nightly)));
        if store.instance(&tenant(), &nightly).await.unwrap().is_none() {
            with_instance(store).await;
        }
    }
    store.delete_instance(&tenant(), &nightly, None, &by(NOW)).await.unwrap();
    // What is left of it can still be opened to somebody.
    let opened = InstanceRights { history: Some([name("julia")].into()), ..InstanceRights::default() };
    store.set_instance_rights(&tenant(), &nightly, &opened, &by(NOW)).await.unwrap();
    let principal = of_session(store, 1, NOW).await.unwrap().principal;
    assert!(principal.may(Right::History, Thing::Execution(&nightly)));
}

pub async fn leave_lists_when_they_go(store: &dyn JobRepository) {
    with_instance(store).await;
    with_member(store, "julia", Role::Author).await;
    let nightly = code("nightly");
    let rights = InstanceRights { edit: Some([name("julia")].into()), ..InstanceRights::default() };
    store.set_instance_rights(&tenant(), &nightly, &rights, &by(NOW)).await.unwrap();
    store.remove_member(&tenant(), &name("julia"), &by(NOW)).await.unwrap();
    let left = InstanceRights { edit: Some(BTreeSet::new()), ..InstanceRights::default() };
    assert_eq!(
        store.instance_rights(&tenant(), &nightly).await.unwrap(),
        left,
        "nobody is left, not everybody"
    );
    store.set_member(&tenant(), &member("julia", Role::Author), &by(NOW)).await.unwrap();
    assert_eq!(store.instance_rights(&tenant(), &nightly).await.unwrap(), left, "a place does not come back");
}
