//! Links that set a password once.

use stepbox_batch::access::{ExternalIdentity, LINK_MS_MAX, LinkPurpose, User, UserChange};
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::ports::JobRepository;

use crate::sample::access::*;
use crate::sample::*;

async fn with_link(store: &dyn JobRepository, byte: u8) {
    with_user(store, &user("julia")).await;
    store.create_link(&link(byte, Some("julia")), &by(NOW)).await.unwrap();
}

async fn sets(store: &dyn JobRepository, byte: u8, text: &str, now: Timestamp) -> bool {
    let set = store.set_password_by_link(&link_hash(byte), &password(text), now).await.unwrap();
    assert!(set.is_none() || set == Some(name("julia")));
    set.is_some()
}

pub async fn are_used_once(store: &dyn JobRepository) {
    with_link(store, 1).await;
    let purpose = LinkPurpose::SetPassword(name("julia"));
    for _ in 0..2 {
        let found = store.link(&link_hash(1), NOW).await.unwrap();
        assert_eq!(found, Some(purpose.clone()), "a look uses nothing up");
    }
    assert!(sets(store, 1, "second", NOW).await);
    assert!(!sets(store, 1, "third", NOW).await);
    assert_eq!(store.link(&link_hash(1), NOW).await.unwrap(), None);
    assert_eq!(store.password(&name("julia")).await.unwrap().unwrap().hash, Some(password("second")));
    let events = store.audit_of_installation(&AuditFilter::default()).await.unwrap();
    let actions: Vec<_> = events.iter().map(|event| event.deed.action).collect();
    use AuditAction::*;
    assert_eq!(actions, [PasswordSet, PasswordLinkCreated, UserCreated]);
    assert_eq!(events[0].by.user.as_deref(), Some("julia"));
    assert_eq!(told(store.create_link(&link(2, Some("nobody")), &by(NOW)).await), "not-found");
}

pub async fn of_two_uses_at_once_one_wins(store: &dyn JobRepository) {
    with_user(store, &user("julia")).await;
    for byte in 0..10 {
        store.create_link(&link(byte, Some("julia")), &by(NOW)).await.unwrap();
        let (hash, a, b) = (link_hash(byte), password("a"), password("b"));
        let (one, other) = tokio::join!(
            store.set_password_by_link(&hash, &a, NOW),
            store.set_password_by_link(&hash, &b, NOW)
        );
        let (one, other) = (one.unwrap().is_some(), other.unwrap().is_some());
        assert!(one != other, "{one} {other}");
        let kept = store.password(&name("julia")).await.unwrap().unwrap().hash;
        assert_eq!(kept, Some(if one { a } else { b }), "the winner's password");
    }
}

pub async fn are_of_no_use_when_they_are_old(store: &dyn JobRepository) {
    with_link(store, 1).await;
    let end = NOW.plus_ms(LINK_MS_MAX);
    assert!(store.link(&link_hash(1), Timestamp(end.0 - 1)).await.unwrap().is_some());
    assert_eq!(store.link(&link_hash(1), end).await.unwrap(), None);
    assert!(!sets(store, 1, "second", end).await);
    assert_eq!(store.password(&name("julia")).await.unwrap().unwrap().hash, Some(password("first")));
}

pub async fn are_replaced_by_newer_ones(store: &dyn JobRepository) {
    with_link(store, 1).await;
    with_user(store, &user("peter")).await;
    store.create_link(&link(2, Some("peter")), &by(NOW)).await.unwrap();
    store.create_link(&link(3, Some("julia")), &by(NOW)).await.unwrap();
    assert!(!sets(store, 1, "second", NOW).await);
    assert!(store.link(&link_hash(2), NOW).await.unwrap().is_some(), "those of others stay");
    assert!(sets(store, 3, "second", NOW).await);
}

pub async fn are_used_up_by_a_password(store: &dyn JobRepository) {
    with_link(store, 1).await;
    assert!(store.set_password(&name("julia"), &password("second"), None, &by(NOW)).await.unwrap());
    assert!(!sets(store, 1, "third", NOW).await);
}

pub async fn of_users_who_must_not_come_in_are_dead(store: &dyn JobRepository) {
    with_link(store, 1).await;
    let suspended = |is_suspended| UserChange { is_suspended: Some(is_suspended), ..UserChange::default() };
    store.change_user(&name("julia"), &suspended(true), &by(NOW)).await.unwrap();
    assert_eq!(store.link(&link_hash(1), NOW).await.unwrap(), None);
    assert!(!sets(store, 1, "second", NOW).await);
    store.change_user(&name("julia"), &suspended(false), &by(NOW)).await.unwrap();
    // A user who signs in at a provider has no use for a password.
    let identity = ExternalIdentity { issuer: "https://login.example".to_owned(), subject: "7".to_owned() };
    let external = |identity| UserChange { external: Some(identity), ..UserChange::default() };
    store.change_user(&name("julia"), &external(Some(identity)), &by(NOW)).await.unwrap();
    assert_eq!(store.link(&link_hash(1), NOW).await.unwrap(), None);
    assert!(!sets(store, 1, "second", NOW).await);
    store.change_user(&name("julia"), &external(None), &by(NOW)).await.unwrap();
    assert!(sets(store, 1, "second", NOW).await);
}

pub async fn for_the_first_operator_need_an_empty_installation(store: &dyn JobRepository) {
    let (root, first) = (operator("root"), password("first"));
    let created = store.create_first_operator(&link_hash(1), &root, &first, &by(NOW)).await;
    assert_eq!(told(created), "not-found", "there is no link");
    for byte in [1, 2] {
        store.create_link(&link(byte, None), &by(NOW)).await.unwrap();
        let found = store.link(&link_hash(byte), NOW).await.unwrap();
        assert_eq!(found, Some(LinkPurpose::FirstOperator));
    }
    assert!(!sets(store, 1, "x", NOW).await, "it sets nobody's password");
    let late = by(NOW.plus_ms(LINK_MS_MAX));
    let created = store.create_first_operator(&link_hash(1), &root, &first, &late).await;
    assert_eq!(told(created), "not-found", "the link is old");
    store.create_first_operator(&link_hash(1), &root, &first, &by(NOW)).await.unwrap();
    assert_eq!(store.users(None, 0).await.unwrap(), [root]);
    assert_eq!(store.password(&name("root")).await.unwrap().unwrap().hash, Some(first.clone()));

    // Neither this link nor another one makes a second first operator.
    let codes = [
        told(store.create_first_operator(&link_hash(1), &operator("b"), &first, &by(NOW)).await),
        told(store.create_first_operator(&link_hash(2), &operator("c"), &first, &by(NOW)).await),
        told(store.create_link(&link(3, None), &by(NOW)).await),
    ];
    assert_eq!(codes, ["not-found", "has-users", "has-users"]);
    assert_eq!(store.users(None, 0).await.unwrap().len(), 1);

    // A link for a password makes no operator.
    store.create_link(&link(4, Some("root")), &by(NOW)).await.unwrap();
    let created = store.create_first_operator(&link_hash(4), &operator("d"), &first, &by(NOW)).await;
    assert_eq!(told(created), "not-found");
}

pub async fn of_two_first_operators_one_wins(store: &dyn JobRepository) {
    for byte in [1, 2] {
        store.create_link(&link(byte, None), &by(NOW)).await.unwrap();
    }
    let (first, by, hashes) = (password("first"), by(NOW), [link_hash(1), link_hash(2)]);
    let users: [User; 3] = ["a", "b", "c"].map(operator);
    let (a, b, c) = tokio::join!(
        store.create_first_operator(&hashes[0], &users[0], &first, &by),
        store.create_first_operator(&hashes[1], &users[1], &first, &by),
        store.create_first_operator(&hashes[0], &users[2], &first, &by)
    );
    let won = [told(a), told(b), told(c)].iter().filter(|answer| **answer == "ok").count();
    assert_eq!(won, 1);
    assert_eq!(store.users(None, 0).await.unwrap().len(), 1);
}
