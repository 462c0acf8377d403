//! Sessions: whom they stand for, and when they are dead.

use stepbox_batch::access::{
    ExternalIdentity, Member, NewSession, Role, SESSION_IDLE_MS_MAX, SESSION_MS_MAX, SESSIONS_PER_USER_MAX,
    SignInProof, User, UserChange,
};
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::JobRepository;

use crate::sample::access::*;
use crate::sample::*;

pub async fn stand_for_their_user(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    let other = TenantId::new("other").unwrap();
    let viewer = Member { user: name("julia"), role: Role::Viewer };
    store.set_member(&other, &viewer, &by(NOW)).await.unwrap();
    with_user(store, &operator("root")).await;
    signed_in(store, 1, "julia").await;
    signed_in(store, 2, "root").await;
    for asked in [Some(tenant()), Some(other.clone()), Some(TenantId::new("third").unwrap()), None] {
        let found = store.principal_of_session(&session_hash(1), asked.as_ref(), NOW).await.unwrap().unwrap();
        let principal = found.principal;
        assert_eq!((principal.user.as_ref(), principal.is_operator), (Some(&name("julia")), false));
        let roles = [(tenant(), Role::Author), (other.clone(), Role::Viewer)];
        assert_eq!(principal.memberships, roles.into());
        assert_eq!((principal.tenant, principal.token), (asked, None));
        assert_eq!(found.session.user, name("julia"));
        let moments = (found.session.created_at, found.session.seen_at, found.session.expires_at);
        assert_eq!(moments, (NOW, NOW, NOW.plus_ms(SESSION_IDLE_MS_MAX)));
    }
    let root = of_session(store, 2, NOW).await.unwrap().principal;
    assert!(root.is_operator && root.memberships.is_empty());
    let of_sign_ins = AuditFilter { action: Some(AuditAction::SignedIn), ..AuditFilter::default() };
    let events = store.audit_of_installation(&of_sign_ins).await.unwrap();
    let details: Vec<_> =
        events.iter().map(|event| format!("{} {}", event.deed.subject, event.deed.detail)).collect();
    let from = r#"{"with":"password","client":"192.0.2.7"}"#;
    assert_eq!(details, [format!("root {from}"), format!("julia {from}")]);
}

pub async fn need_what_the_user_has_shown(store: &dyn JobRepository) {
    let identity = |subject: &str| ExternalIdentity {
        issuer: "https://login.example".to_owned(),
        subject: subject.to_owned(),
    };
    with_user(store, &User { external: Some(identity("7")), ..user("julia") }).await;
    with_user(store, &user("peter")).await;
    with_user(store, &User { is_suspended: true, ..user("away") }).await;
    store.create_user(&User { password_changed_at: None, ..user("bare") }, None, &by(NOW)).await.unwrap();
    let with = |user: &str, proof| NewSession { proof, ..session(1, user, "first") };
    let other_issuer = ExternalIdentity { issuer: "https://other.example".to_owned(), ..identity("7") };
    let refused = [
        // A user of a provider comes in with no password, not even with the right one.
        session(1, "julia", "first"),
        session(1, "peter", "other"),
        session(1, "peter", ""),
        session(1, "away", "first"),
        session(1, "bare", "first"),
        session(1, "nobody", "first"),
        with("julia", SignInProof::External(identity("8"))),
        with("julia", SignInProof::External(other_issuer)),
        with("away", SignInProof::External(identity("7"))),
        with("bare", SignInProof::External(identity("7"))),
    ];
    for session in refused {
        assert!(!store.create_session(&session, &by(NOW)).await.unwrap(), "{session:?}");
        assert_eq!(of_session(store, 1, NOW).await, None, "{session:?}");
    }
    let of_sign_ins = AuditFilter { action: Some(AuditAction::SignedIn), ..AuditFilter::default() };
    assert_eq!(store.audit_of_installation(&of_sign_ins).await.unwrap(), []);
    let shown = with("julia", SignInProof::External(identity("7")));
    assert!(store.create_session(&shown, &by(NOW)).await.unwrap());
    assert!(of_session(store, 1, NOW).await.is_some());
}

pub async fn end_when_they_are_not_used(store: &dyn JobRepository) {
    with_user(store, &user("julia")).await;
    signed_in(store, 1, "julia").await;
    let idle = NOW.plus_ms(SESSION_IDLE_MS_MAX);
    assert!(of_session(store, 1, Timestamp(idle.0 - 1)).await.is_some());
    assert_eq!(of_session(store, 1, idle).await, None);

    // A session that is used goes on, and is over after its longest time.
    let (mut now, hours) = (NOW, 20);
    while now.ms_since(NOW) < SESSION_MS_MAX - 25 * 3_600_000 {
        now = now.plus_ms(hours * 3_600_000);
        store.touch_session(&session_hash(1), now).await.unwrap();
        let found = of_session(store, 1, now).await.unwrap().session;
        assert_eq!((found.created_at, found.seen_at), (NOW, now));
    }
    let found = of_session(store, 1, now).await.unwrap().session;
    assert_eq!(found.expires_at, NOW.plus_ms(SESSION_MS_MAX));
    assert_eq!(of_session(store, 1, found.expires_at).await, None);
    // What has expired is not woken up, and a clock that goes back shortens nothing.
    store.touch_session(&session_hash(1), found.expires_at).await.unwrap();
    assert_eq!(of_session(store, 1, found.expires_at).await, None);
    store.touch_session(&session_hash(1), NOW).await.unwrap();
    assert_eq!(of_session(store, 1, now).await.unwrap().session, found);
}

/// Each of these ends the session of julia at once, and not that of peter.
pub async fn are_dead_at_once(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    with_member(store, "peter", Role::Author).await;
    with_user(store, &operator("root")).await;
    signed_in(store, 100, "peter").await;
    let julia = name("julia");
    let none = UserChange::default();
    let identity = ExternalIdentity { issuer: "https://login.example".to_owned(), subject: "7".to_owned() };
    let changes = [
        UserChange { is_suspended: Some(true), ..none.clone() },
        UserChange { is_operator: Some(true), ..none.clone() },
        UserChange { is_operator: Some(false), ..none.clone() },
        UserChange { external: Some(Some(identity)), ..none.clone() },
    ];
    let mut byte = 0;
    for change in changes {
        byte += 1;
        signed_in(store, byte, "julia").await;
        store.change_user(&julia, &change, &by(NOW)).await.unwrap();
        assert_eq!(of_session(store, byte, NOW).await, None, "{change:?}");
        // A session does not come back when the suspension ends, or the identity is taken away.
        let back = UserChange { is_suspended: Some(false), external: Some(None), ..none.clone() };
        store.change_user(&julia, &back, &by(NOW)).await.unwrap();
        assert_eq!(of_session(store, byte, NOW).await, None, "{change:?}");
    }
    signed_in(store, 20, "julia").await;
    let label = UserChange { label: Some("Julia".to_owned()), ..none };
    store.change_user(&julia, &label, &by(NOW)).await.unwrap();
    assert!(of_session(store, 20, NOW).await.is_some(), "a label ends nothing");

    assert!(store.end_session(&session_hash(20), &by(NOW)).await.unwrap());
    assert_eq!(of_session(store, 20, NOW).await, None, "sign-out");
    assert!(!store.end_session(&session_hash(20), &by(NOW)).await.unwrap());

    signed_in(store, 21, "julia").await;
    signed_in(store, 22, "julia").await;
    assert_eq!(store.end_sessions(&julia, &by(NOW)).await.unwrap(), 2);
    assert_eq!((of_session(store, 21, NOW).await, of_session(store, 22, NOW).await), (None, None));
    assert_eq!(store.end_sessions(&julia, &by(NOW)).await.unwrap(), 0);
    assert_eq!(told(store.end_sessions(&name("nobody"), &by(NOW)).await), "not-found");

    signed_in(store, 23, "julia").await;
    assert!(store.set_password(&julia, &password("first"), None, &by(NOW)).await.unwrap());
    assert_eq!(of_session(store, 23, NOW).await, None, "also with the same password");

    signed_in(store, 24, "julia").await;
    store.create_link(&link(1, Some("julia")), &by(NOW)).await.unwrap();
    assert!(of_session(store, 24, NOW).await.is_some(), "a link ends nothing until it is used");
    store.set_password_by_link(&link_hash(1), &password("first"), NOW).await.unwrap().unwrap();
    assert_eq!(of_session(store, 24, NOW).await, None, "a password by link");

    signed_in(store, 25, "julia").await;
    store.remove_user(&julia, &by(NOW)).await.unwrap();
    assert_eq!(of_session(store, 25, NOW).await, None, "removed");
    assert!(of_session(store, 100, NOW).await.is_some(), "peter is still there");
}

/// Uses of a session beside its end: none of them brings it back.
pub async fn that_were_ended_stay_dead(store: &dyn JobRepository) {
    with_user(store, &user("julia")).await;
    for byte in 0..20 {
        signed_in(store, byte, "julia").await;
        let (hash, later, by) = (session_hash(byte), NOW.plus_ms(3_600_000), by(NOW));
        let tenant = tenant();
        let (ended, touched, found) = tokio::join!(
            store.end_session(&hash, &by),
            store.touch_session(&hash, later),
            store.principal_of_session(&hash, Some(&tenant), later)
        );
        assert!(ended.unwrap());
        touched.unwrap();
        found.unwrap();
        store.touch_session(&hash, later.plus_ms(1)).await.unwrap();
        assert_eq!(of_session(store, byte, later).await, None);
    }
}

/// A sign-in with a password that is being changed, by a user who is being suspended, or removed.
pub async fn of_a_sign_in_beside_a_change_none_is_left(store: &dyn JobRepository) {
    with_user(store, &operator("root")).await;
    for byte in 0..15_u8 {
        let text = format!("user{byte}");
        with_user(store, &user(&text)).await;
        let (session, who, by) = (session(byte, &text, "first"), name(&text), by(NOW));
        let (second, suspend) =
            (password("second"), UserChange { is_suspended: Some(true), ..UserChange::default() });
        let change = async {
            match byte % 3 {
                0 => store.set_password(&who, &second, None, &by).await.map(drop),
                1 => store.change_user(&who, &suspend, &by).await.map(drop),
                _ => store.remove_user(&who, &by).await,
            }
        };
        let (began, changed) = tokio::join!(store.create_session(&session, &by), change);
        changed.unwrap();
        began.unwrap();
        assert_eq!(of_session(store, byte, NOW).await, None, "{byte}");
    }
}

pub async fn are_few_for_each_user(store: &dyn JobRepository) {
    with_user(store, &user("julia")).await;
    with_user(store, &user("peter")).await;
    signed_in(store, 200, "peter").await;
    let count = u8::try_from(SESSIONS_PER_USER_MAX).unwrap();
    for byte in 0..count {
        let at = NOW.plus_ms(byte.into());
        assert!(store.create_session(&session(byte, "julia", "first"), &by(at)).await.unwrap());
    }
    let later = NOW.plus_ms(1_000);
    store.touch_session(&session_hash(0), later).await.unwrap();
    assert!(store.create_session(&session(count, "julia", "first"), &by(later)).await.unwrap());
    assert_eq!(of_session(store, 1, later).await, None, "it was used longest ago");
    for byte in [0, 2, count, 200] {
        assert!(of_session(store, byte, later).await.is_some(), "{byte}");
    }
}

/// A credential of one kind is none of another kind, even with the same bytes.
pub async fn are_unknown_by_other_hashes(store: &dyn JobRepository) {
    with_member(store, "julia", Role::Author).await;
    signed_in(store, 1, "julia").await;
    with_token(store, &token(2, "julia")).await;
    store.create_link(&link(3, Some("julia")), &by(NOW)).await.unwrap();
    for byte in [2, 3, 4] {
        assert_eq!(of_session(store, byte, NOW).await, None, "{byte}");
    }
    for byte in [1, 3, 4] {
        assert_eq!(of_token(store, byte, NOW).await, None, "{byte}");
    }
    for byte in [1, 2, 4] {
        assert_eq!(store.link(&link_hash(byte), NOW).await.unwrap(), None, "{byte}");
        let set = store.set_password_by_link(&link_hash(byte), &password("x"), NOW).await;
        assert_eq!(set.unwrap(), None, "{byte}");
    }
}
