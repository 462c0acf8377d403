//! Tokens: whom they stand for, and when they are dead.

use std::collections::BTreeSet;

use serde_json::json;
use stepbox_batch::access::{
    Member, NewToken, Right, Role, Scope, TOKENS_PER_USER_MAX, Thing, Token, TokenId, TokenWish, UserChange,
};
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::JobRepository;

use crate::sample::access::*;
use crate::sample::*;

fn other() -> TenantId {
    TenantId::new("other").unwrap()
}

pub async fn stand_for_their_owner(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    let wish = TokenWish {
        name: "nightly \u{1a} CI".to_owned(),
        instance: Some(code("nightly")),
        scopes: BTreeSet::from(Scope::ALL),
        ..token(1, "julia").wish
    };
    let new = NewToken { wish: wish.clone(), ..token(1, "julia") };
    let id = with_token(store, &new).await;
    let expected = Token {
        id,
        name: wish.name,
        owner: name("julia"),
        tenant: Some(tenant()),
        instance: wish.instance,
        scopes: wish.scopes,
        created_at: NOW,
        expires_at: wish.expires_at,
        last_used_at: None,
        made_by: None,
    };
    let found = of_token(store, 1, NOW).await.unwrap();
    assert_eq!(found.token, expected);
    assert_eq!(found.principal.token, Some(expected.limits()));
    assert_eq!(found.principal.user, Some(name("julia")));
    assert_eq!(found.principal.memberships, [(tenant(), Role::Author)].into());
    assert_eq!(store.tokens(Some(&tenant()), None).await.unwrap(), [expected]);
    let there = store.principal_of_token(&token_hash(1), Some(&other()), NOW).await.unwrap().unwrap();
    assert!(!there.principal.may(Right::View, Thing::Instance(&code("nightly"))));
    assert_eq!(of_token(store, 2, NOW).await, None);
    assert_eq!(told(store.create_token(&token(3, "nobody"), &by(NOW)).await), "not-found");
}

pub async fn have_the_rights_of_the_moment(store: &dyn JobRepository) {
    with_instance(store).await;
    with_member(store, "julia", Role::Viewer).await;
    let scopes = BTreeSet::from([Scope::WriteInstances]);
    let wish = TokenWish { scopes, ..token(1, "julia").wish };
    with_token(store, &NewToken { wish, ..token(1, "julia") }).await;
    for (role, may) in [(Role::Viewer, false), (Role::Author, true), (Role::Operator, false)] {
        store.set_member(&tenant(), &Member { user: name("julia"), role }, &by(NOW)).await.unwrap();
        let principal = of_token(store, 1, NOW).await.unwrap().principal;
        assert_eq!(principal.may(Right::Edit, Thing::Instance(&code("nightly"))), may, "{role}");
    }
    store.remove_member(&tenant(), &name("julia"), &by(NOW)).await.unwrap();
    let principal = of_token(store, 1, NOW).await.unwrap().principal;
    assert!(!principal.may(Right::Edit, Thing::Instance(&code("nightly"))));
}

pub async fn of_the_installation_need_an_operator(store: &dyn JobRepository) {
    with_user(store, &operator("root")).await;
    with_user(store, &operator("second")).await;
    with_token(store, &token_of_installation(1, "second")).await;
    with_token(store, &token(2, "second")).await;
    let operates = |is_operator| UserChange { is_operator: Some(is_operator), ..UserChange::default() };
    assert!(of_token(store, 1, NOW).await.unwrap().principal.is_operator);
    store.change_user(&name("second"), &operates(false), &by(NOW)).await.unwrap();
    assert_eq!(of_token(store, 1, NOW).await, None);
    assert!(!of_token(store, 2, NOW).await.unwrap().principal.is_operator);
    // The events are in the trail that the token belongs to.
    let created = AuditFilter { action: Some(AuditAction::TokenCreated), ..AuditFilter::default() };
    assert_eq!(store.audit_of_installation(&created).await.unwrap().len(), 1);
    assert_eq!(store.audit(&tenant(), &created).await.unwrap().len(), 1);
}

pub async fn expire(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    with_token(store, &token(1, "julia")).await;
    let end = token(1, "julia").wish.expires_at;
    assert!(of_token(store, 1, Timestamp(end.0 - 1)).await.is_some());
    assert_eq!(of_token(store, 1, end).await, None);
    // It is listed until its owner makes another one.
    assert_eq!(store.tokens(Some(&tenant()), None).await.unwrap().len(), 1);
    let wish = TokenWish { expires_at: end.plus_ms(5), ..token(2, "julia").wish };
    let later = NewToken { wish, ..token(2, "julia") };
    store.create_token(&later, &by(end)).await.unwrap();
    let left = store.tokens(Some(&tenant()), None).await.unwrap();
    assert_eq!(left.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["ci 2"]);
}

pub async fn are_dead_at_once(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    with_member(store, "peter", Role::Author).await;
    let id = with_token(store, &token(1, "julia")).await;
    with_token(store, &token(2, "julia")).await;
    with_token(store, &token(3, "peter")).await;
    store.revoke_token(Some(&tenant()), id, None, &by(NOW)).await.unwrap();
    assert_eq!(of_token(store, 1, NOW).await, None, "revoked");
    let error = store.revoke_token(Some(&tenant()), id, None, &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no token `{id}`"));

    let suspended = |is_suspended| UserChange { is_suspended: Some(is_suspended), ..UserChange::default() };
    store.change_user(&name("julia"), &suspended(true), &by(NOW)).await.unwrap();
    assert_eq!(of_token(store, 2, NOW).await, None, "suspended");
    store.change_user(&name("julia"), &suspended(false), &by(NOW)).await.unwrap();
    assert!(of_token(store, 2, NOW).await.is_some(), "the suspension is over");
    store.remove_user(&name("julia"), &by(NOW)).await.unwrap();
    assert_eq!(of_token(store, 2, NOW).await, None, "removed");
    assert!(of_token(store, 3, NOW).await.is_some(), "peter is still there");
}

fn made_with(byte: u8, maker: TokenId) -> NewToken {
    NewToken { made_by: Some(maker), ..token(byte, "julia") }
}

pub async fn made_with_another_go_with_it(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    let first = with_token(store, &token(1, "julia")).await;
    let second = with_token(store, &made_with(2, first)).await;
    let third = with_token(store, &in_tenant(made_with(3, second), Some(&other()))).await;
    with_token(store, &token(4, "julia")).await;
    assert_eq!(of_token(store, 2, NOW).await.unwrap().token.made_by, Some(first));
    store.revoke_token(Some(&tenant()), first, None, &by(NOW)).await.unwrap();
    for byte in [1, 2, 3] {
        assert_eq!(of_token(store, byte, NOW).await, None, "{byte}");
    }
    assert!(of_token(store, 4, NOW).await.is_some());
    let revoked = AuditFilter { action: Some(AuditAction::TokenRevoked), ..AuditFilter::default() };
    let events = store.audit(&tenant(), &revoked).await.unwrap();
    let found: Vec<_> =
        events.iter().map(|event| (&*event.deed.subject, event.deed.detail.clone())).collect();
    let detail = |byte, along: Option<TokenId>| json!({ "name": format!("ci {byte}"), "owner": "julia", "along_with": along });
    let (first_text, second_text) = (first.to_string(), second.to_string());
    assert_eq!(found, [(&*second_text, detail(2, Some(first))), (&*first_text, detail(1, None))]);
    let events = store.audit(&other(), &revoked).await.unwrap();
    assert_eq!(events[0].deed.subject, third.to_string(), "in the trail of its own tenant");
    assert_eq!(told(store.create_token(&made_with(5, first), &by(NOW)).await), "not-found");
}

/// A stolen token cannot outlive its revocation by making another one.
pub async fn made_beside_a_revocation_are_not_left(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    for byte in 0..10_u8 {
        let maker = with_token(store, &token(byte, "julia")).await;
        let (new, by, tenant) = (made_with(100 + byte, maker), by(NOW), tenant());
        let (made, revoked) =
            tokio::join!(store.create_token(&new, &by), store.revoke_token(Some(&tenant), maker, None, &by));
        revoked.unwrap();
        assert!(matches!(told(made), "ok" | "not-found"));
        assert_eq!(of_token(store, 100 + byte, NOW).await, None);
    }
    assert_eq!(store.tokens(Some(&tenant()), None).await.unwrap(), []);
}

pub async fn are_listed_by_tenant_and_owner(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    with_user(store, &operator("root")).await;
    with_token(store, &token(1, "julia")).await;
    with_token(store, &token(2, "root")).await;
    with_token(store, &in_tenant(token(3, "julia"), Some(&other()))).await;
    with_token(store, &token_of_installation(4, "root")).await;
    let rows = [
        (Some(tenant()), None, "ci 1, ci 2"),
        (Some(tenant()), Some("julia"), "ci 1"),
        (Some(tenant()), Some("nobody"), ""),
        (Some(other()), None, "ci 3"),
        (Some(TenantId::new("third").unwrap()), None, ""),
        (None, None, "ci 4"),
        (None, Some("julia"), ""),
        (None, Some("root"), "ci 4"),
    ];
    for (tenant, owner, expected) in rows {
        let owner = owner.map(name);
        let found = store.tokens(tenant.as_ref(), owner.as_ref()).await.unwrap();
        let names: Vec<_> = found.iter().map(|token| token.name.as_str()).collect();
        assert_eq!(names.join(", "), expected, "{tenant:?} {owner:?}");
    }
}

pub async fn are_revoked_where_they_belong(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    with_user(store, &operator("root")).await;
    let of_tenant = with_token(store, &token(1, "julia")).await;
    let of_installation = with_token(store, &token_of_installation(2, "root")).await;
    let refused = [
        (Some(other()), of_tenant, None),
        (None, of_tenant, None),
        (Some(tenant()), of_tenant, Some("root")),
        (Some(tenant()), of_installation, None),
        (None, of_installation, Some("julia")),
        (Some(tenant()), TokenId(u64::MAX), None),
    ];
    for (tenant, id, owner) in refused {
        let owner = owner.map(name);
        let revoked = store.revoke_token(tenant.as_ref(), id, owner.as_ref(), &by(NOW)).await;
        assert_eq!(told(revoked), "not-found", "{tenant:?} {id} {owner:?}");
    }
    assert!(of_token(store, 1, NOW).await.is_some() && of_token(store, 2, NOW).await.is_some());
    store.revoke_token(Some(&tenant()), of_tenant, Some(&name("julia")), &by(NOW)).await.unwrap();
    store.revoke_token(None, of_installation, Some(&name("root")), &by(NOW)).await.unwrap();
    assert_eq!((of_token(store, 1, NOW).await, of_token(store, 2, NOW).await), (None, None));
}

pub async fn are_few_for_each_user(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    with_member(store, "peter", Role::Author).await;
    let count = u8::try_from(TOKENS_PER_USER_MAX).unwrap();
    for byte in 0..count {
        with_token(store, &token(byte, "julia")).await;
    }
    assert_eq!(told(store.create_token(&token(count, "julia"), &by(NOW)).await), "too-many-tokens");
    with_token(store, &token(count, "peter")).await;
    // What has expired makes room.
    let later = NOW.plus_ms(25 * 3_600_000);
    let wish = TokenWish { expires_at: later.plus_ms(5), ..token(200, "julia").wish };
    store.create_token(&NewToken { wish, ..token(200, "julia") }, &by(later)).await.unwrap();
}

pub async fn tell_when_they_were_used(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    let id = with_token(store, &token(1, "julia")).await;
    let rows = [(NOW.plus_ms(5), NOW.plus_ms(5)), (NOW.plus_ms(9), NOW.plus_ms(9)), (NOW, NOW.plus_ms(9))];
    for (used, expected) in rows {
        store.touch_token(id, used).await.unwrap();
        assert_eq!(of_token(store, 1, NOW).await.unwrap().token.last_used_at, Some(expected));
    }
    store.revoke_token(Some(&tenant()), id, None, &by(NOW)).await.unwrap();
    store.touch_token(id, NOW.plus_ms(10)).await.unwrap();
    assert_eq!(of_token(store, 1, NOW).await, None);
}
