//! Signing in and out, and the attacks on it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use stepbox_batch::access::{
    ExternalIdentity, InstanceRights, LinkPurpose, Principal, Right, Role, Scope, Thing, TokenWish,
    UserChange,
};
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::clock::{Clock, Timestamp};
use stepbox_batch::name::TenantId;

use super::*;
use crate::error::Error;
use crate::policy::Policy;
use crate::stepbox::Stepbox;
use crate::tenant::Tenant;

const GOOD: &str = "correct horse battery";
const OTHER: &str = "staple battery horse";
const HOUR_MS: i64 = 3_600_000;

/// A clock that a test moves.
struct Hand(AtomicI64);

impl Hand {
    fn pass(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    fn ticks_us(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap() * 1_000
    }

    async fn sleep_ms(&self, _: u64) {}
}

struct Place {
    clock: Arc<Hand>,
    stepbox: Stepbox,
    accounts: Accounts,
    tenant: Tenant,
    _folder: tempfile::TempDir,
}

async fn empty() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(1_700_000_000_000)));
    let stepbox = Stepbox::builder(folder.path().join("data"))
        .tenant(TenantId::default(), Policy::nothing())
        .clock(clock.clone())
        .open()
        .await
        .unwrap();
    let (accounts, tenant) = (stepbox.accounts(), stepbox.tenant(&TenantId::default()).unwrap());
    let tenant = tenant.acting_as("root");
    Place { clock, accounts: accounts.acting_as("root"), tenant, stepbox, _folder: folder }
}

/// An installation with the operator `root` and the user `julia`, both with the password [`GOOD`].
async fn peopled() -> Place {
    let place = empty().await;
    for (name, is_operator) in [("root", true), ("julia", false)] {
        let new = NewUser { name: name.to_owned(), is_operator, ..NewUser::default() };
        place.accounts.create_user(new).await.unwrap();
        place.accounts.set_password(name, GOOD).await.unwrap();
    }
    place
}

fn address() -> Option<IpAddr> {
    Some("192.0.2.7".parse().unwrap())
}

impl Place {
    async fn sign_in(&self, user: &str, password: &str) -> Result<SignedIn, Error> {
        // Each attempt comes after a pause, so that none of them is too early.
        self.clock.pass(60_000);
        self.accounts.sign_in(SignIn { user, password, client: address() }).await
    }

    async fn principal(&self, signed_in: &SignedIn) -> Option<Principal> {
        let tenant = TenantId::default();
        let found = self.accounts.principal_of_session(signed_in.id.as_str(), Some(&tenant)).await.unwrap();
        found.map(|found| found.principal)
    }

    async fn of_token(&self, text: &str) -> Option<Principal> {
        let tenant = TenantId::default();
        let found = self.accounts.principal_of_token(text, Some(&tenant)).await.unwrap();
        found.map(|found| found.principal)
    }

    fn wish(&self, scopes: &[Scope]) -> TokenWish {
        TokenWish {
            name: "ci".to_owned(),
            tenant: Some(TenantId::default()),
            instance: None,
            scopes: scopes.iter().copied().collect(),
            expires_at: self.clock.now().plus_ms(24 * 3_600_000),
        }
    }
}

fn told<T>(result: Result<T, Error>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned())
}

#[tokio::test]
async fn the_first_operator_comes_with_a_link_that_works_once() {
    let place = empty().await;
    let accounts = place.stepbox.accounts();
    let (one, other) = (accounts.first_operator_link().await.unwrap(), accounts.first_operator_link().await);
    let (one, other) = (one.unwrap().secret, other.unwrap().unwrap().secret);
    assert_eq!(accounts.link_purpose(one.as_str()).await.unwrap(), Some(LinkPurpose::FirstOperator));

    let forged = "0".repeat(43);
    let long = "x".repeat(1 << 16);
    let rows = [
        (forged.as_str(), Some("root"), GOOD, "link-unusable"),
        ("", Some("root"), GOOD, "link-unusable"),
        (&long, Some("root"), GOOD, "link-unusable"),
        (one.as_str(), None, GOOD, "link-misused"),
        (one.as_str(), Some("root"), "too short", "password-length"),
        (one.as_str(), Some(""), GOOD, "bad-name"),
        (one.as_str(), Some(" root"), GOOD, "bad-name"),
        (one.as_str(), Some("root"), GOOD, "ok"),
        (one.as_str(), Some("second"), GOOD, "link-unusable"),
        (other.as_str(), Some("second"), GOOD, "link-unusable"),
    ];
    for (secret, name, password, expected) in rows {
        let used = accounts.use_link(secret, name, password, None).await;
        assert_eq!(told(used), expected, "{name:?} {password}");
    }
    assert_eq!(accounts.first_operator_link().await.unwrap(), None);
    let users = accounts.users(None, 0).await.unwrap();
    assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["root"]);
    let root = place.principal(&place.sign_in("root", GOOD).await.unwrap()).await.unwrap();
    assert!(root.may(Right::Operate, Thing::Installation));
}

#[tokio::test]
async fn a_user_sets_a_password_with_a_link() {
    let place = peopled().await;
    let session = place.sign_in("julia", GOOD).await.unwrap();
    let link = place.accounts.password_link("julia").await.unwrap().secret;
    let misused = place.accounts.use_link(link.as_str(), Some("root"), OTHER, None).await;
    assert_eq!(told(misused), "link-misused");
    let used = place.accounts.use_link(link.as_str(), None, OTHER, address()).await.unwrap();
    assert_eq!(used.as_str(), "julia");
    assert_eq!(place.principal(&session).await, None);
    assert_eq!(told(place.sign_in("julia", GOOD).await), "sign-in-refused");
    place.sign_in("julia", OTHER).await.unwrap();
    let again = place.accounts.use_link(link.as_str(), None, GOOD, None).await;
    assert_eq!(told(again), "link-unusable");
    // Nobody can try secrets without an end.
    let forged = "0".repeat(43);
    let mut answers = BTreeSet::new();
    for _ in 0..40 {
        answers.insert(told(place.accounts.use_link(&forged, None, GOOD, address()).await));
    }
    assert!(answers.contains("too-many-attempts"), "{answers:?}");
}

/// A refused user learns nothing about the reason.
#[tokio::test]
async fn refusals_are_alike() {
    let place = peopled().await;
    let new = NewUser { name: "bare".to_owned(), ..NewUser::default() };
    place.accounts.create_user(new).await.unwrap();
    let away = NewUser { name: "away".to_owned(), ..NewUser::default() };
    place.accounts.create_user(away).await.unwrap();
    place.accounts.set_password("away", GOOD).await.unwrap();
    let suspend = UserChange { is_suspended: Some(true), ..UserChange::default() };
    place.accounts.change_user("away", suspend).await.unwrap();
    let long = "x".repeat(300);
    let rows = [
        ("julia", OTHER),
        ("julia", ""),
        ("julia", &long),
        ("Julia", GOOD),
        ("julia ", GOOD),
        ("nobody", GOOD),
        ("nobody", ""),
        ("bare", GOOD),
        ("away", GOOD),
        ("away", OTHER),
        ("", GOOD),
        ("a\nb", GOOD),
        (GOOD, GOOD),
        (&long, GOOD),
    ];
    for (user, password) in rows {
        let refused = place.sign_in(user, password).await.unwrap_err();
        assert_eq!(refused.to_string(), "user and password do not fit", "{user:.20} {password:.20}");
        assert_eq!(refused.code(), "sign-in-refused");
    }
    let events = place.accounts.audit(&AuditFilter { limit: 20, ..AuditFilter::default() }).await.unwrap();
    let failed: Vec<_> = events
        .iter()
        .filter(|event| event.deed.action.as_str() == "sign-in-failed")
        .map(|event| event.deed.subject.as_str())
        .collect();
    // Names of nobody are not kept: people type passwords there.
    let expected = ["", "", "", "", "away", "away", "bare", "", "", "", "", "julia", "julia", "julia"];
    assert_eq!(failed, expected);
}

/// An unknown user, one without a password and one who is suspended take the same computation as any other.
#[tokio::test]
async fn every_attempt_takes_the_same_computation() {
    let place = peopled().await;
    place.accounts.create_user(NewUser { name: "bare".to_owned(), ..NewUser::default() }).await.unwrap();
    let passwords = &place.stepbox.installation.reception.passwords;
    for user in ["julia", "nobody", "bare", "a\nb"] {
        let taken = passwords.taken().await;
        let accounts = place.accounts.clone();
        let attempt =
            tokio::spawn(
                async move { accounts.sign_in(SignIn { user, password: OTHER, client: None }).await },
            );
        // It waits for its turn: without one, nothing could be said yet.
        while passwords.waiting() == 0 {
            assert!(!attempt.is_finished(), "{user}");
            tokio::task::yield_now().await;
        }
        drop(taken);
        assert_eq!(told(attempt.await.unwrap()), "sign-in-refused", "{user}");
    }
}

#[tokio::test]
async fn guessing_is_slow_even_with_the_right_password_at_last() {
    let place = peopled().await;
    let attempt = |user: &'static str, password: &'static str| {
        place.accounts.sign_in(SignIn { user, password, client: address() })
    };
    for _ in 0..10 {
        assert_eq!(told(attempt("julia", OTHER).await), "sign-in-refused");
    }
    let refused = attempt("julia", GOOD).await.unwrap_err();
    let Error::Account(AccountError::TooManyAttempts { seconds }) = refused else { panic!("{refused}") };
    assert!((1..=7).contains(&seconds), "{seconds}");
    // Unknown users are limited in the same way, so the limit tells nothing either.
    for _ in 0..10 {
        assert_eq!(told(attempt("nobody", OTHER).await), "sign-in-refused");
    }
    assert_eq!(told(attempt("nobody", OTHER).await), "too-many-attempts");
    // The limit of the address comes before that of the user.
    for _ in 0..30 {
        let _ = attempt("root", OTHER).await;
    }
    assert_eq!(told(attempt("somebody else", GOOD).await), "too-many-attempts");
    place.clock.pass(seconds as i64 * 1_000);
    attempt("julia", GOOD).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_everywhere_at_once() {
    let place = peopled().await;
    place.tenant.set_member("julia", Role::Author).await.unwrap();
    let (one, other) =
        (place.sign_in("julia", GOOD).await.unwrap(), place.sign_in("julia", GOOD).await.unwrap());
    assert_ne!(one.id, other.id);
    assert!(place.principal(&one).await.unwrap().may(Right::Edit, Thing::Instances));
    assert!(place.accounts.sign_out(one.id.as_str()).await.unwrap());
    assert_eq!(place.principal(&one).await, None);
    assert!(!place.accounts.sign_out(one.id.as_str()).await.unwrap());
    assert!(!place.accounts.sign_out("no such session").await.unwrap());

    assert!(place.principal(&other).await.is_some());
    place.tenant.set_member("julia", Role::Viewer).await.unwrap();
    assert_eq!(place.principal(&other).await, None, "another role");
    let third = place.sign_in("julia", GOOD).await.unwrap();
    assert_eq!(place.accounts.end_sessions("julia").await.unwrap(), 1);
    assert_eq!(place.principal(&third).await, None);

    // A session that is used lives on, and one that is not ends.
    let fourth = place.sign_in("julia", GOOD).await.unwrap();
    for _ in 0..3 {
        place.clock.pass(23 * HOUR_MS);
        assert!(place.principal(&fourth).await.is_some());
    }
    place.clock.pass(24 * HOUR_MS);
    assert_eq!(place.principal(&fourth).await, None);
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_it() {
    let place = peopled().await;
    let julia = UserName::new("julia").unwrap();
    let old = place.sign_in("julia", GOOD).await.unwrap();
    let change = async |present: &str, new: &str| {
        place.clock.pass(60_000);
        place.accounts.change_password(&julia, present, new, address()).await
    };
    assert_eq!(told(change(OTHER, OTHER).await), "sign-in-refused");
    assert_eq!(told(change(GOOD, "too short").await), "password-length");
    assert!(place.principal(&old).await.is_some(), "nothing has changed");
    let new = change(GOOD, OTHER).await.unwrap();
    assert_eq!(place.principal(&old).await, None);
    assert_eq!(place.principal(&new).await.unwrap().user, Some(julia.clone()));
    assert_eq!(told(change(GOOD, GOOD).await), "sign-in-refused");
}

fn identity(subject: &str) -> ExternalIdentity {
    ExternalIdentity { issuer: "https://login.example".to_owned(), subject: subject.to_owned() }
}

/// A user of a provider, with a role in the tenant if there is one.
fn provided(subject: &str, name: &str, role: Option<Role>) -> ProvidedUser {
    ProvidedUser {
        identity: identity(subject),
        name: name.to_owned(),
        label: None,
        is_operator: false,
        roles: role.map(|role| (TenantId::default(), role)).into_iter().collect(),
    }
}

#[tokio::test]
async fn an_identity_comes_in_as_its_user_alone() {
    let place = peopled().await;
    let viewer = |subject: &str, name: &str| provided(subject, name, Some(Role::Viewer));
    let refused = place.accounts.sign_in_as(viewer("7", "julia"), address()).await;
    assert_eq!(told(refused), "user-of-another-account", "a name is no identity");
    let refused = place.accounts.sign_in_as(viewer("julia", "\n"), address()).await;
    assert_eq!(told(refused), "user-of-another-account", "and neither is a subject");
    let change = UserChange { external: Some(Some(identity("7"))), ..UserChange::default() };
    place.accounts.change_user("julia", change).await.unwrap();
    let session = place.accounts.sign_in_as(viewer("7", "another name"), address()).await.unwrap();
    assert_eq!(session.user.as_str(), "julia");
    let suspend = UserChange { is_suspended: Some(true), ..UserChange::default() };
    place.accounts.change_user("julia", suspend).await.unwrap();
    assert_eq!(place.principal(&session).await, None);
    assert_eq!(told(place.accounts.sign_in_as(viewer("7", "julia"), address()).await), "sign-in-refused");
}

/// The roles are those of the last sign-in, whatever anybody did here meanwhile.
#[tokio::test]
async fn a_provider_decides_the_roles_at_each_sign_in() {
    let place = peopled().await;
    let come = async |role, is_operator| {
        let provided = ProvidedUser { is_operator, ..provided("9", "maria", role) };
        place.accounts.sign_in_as(provided, address()).await
    };
    assert_eq!(told(come(None, false).await), "sign-in-without-role");
    assert_eq!(told(place.accounts.user("maria").await), "not-found");
    let first = come(Some(Role::Author), false).await.unwrap();
    assert!(place.principal(&first).await.unwrap().may(Right::Edit, Thing::Instances));
    place.tenant.set_member("maria", Role::Administrator).await.unwrap();
    assert_eq!(place.principal(&first).await, None);
    let second = come(Some(Role::Viewer), true).await.unwrap();
    assert_ne!(first.id, second.id);
    assert!(place.principal(&second).await.unwrap().is_operator);
    let third = come(Some(Role::Viewer), false).await.unwrap();
    assert_eq!(place.principal(&second).await, None, "another standing");
    let principal = place.principal(&third).await.unwrap();
    assert!(!principal.is_operator && !principal.may(Right::Edit, Thing::Instances));
    assert_eq!(told(come(None, false).await), "sign-in-without-role");
    assert_eq!(place.principal(&third).await, None, "the last role is gone");
    assert_eq!(place.accounts.memberships("maria").await.unwrap().len(), 0);
    let failed = AuditFilter { action: Some(AuditAction::SignInFailed), ..AuditFilter::default() };
    let failed = place.accounts.audit(&failed).await.unwrap();
    let told: Vec<_> = failed.iter().map(|event| (event.deed.subject.as_str(), &event.deed.detail)).collect();
    let detail =
        serde_json::json!({ "with": "identity", "reason": "sign-in-without-role", "client": "192.0.2.7" });
    assert_eq!(told, [("maria", &detail), ("", &detail)]);
}

/// The last operator stays one, and does not come in.
#[tokio::test]
async fn the_last_operator_is_not_signed_in_as_less() {
    let place = empty().await;
    let operator = ProvidedUser { is_operator: true, ..provided("9", "maria", None) };
    place.accounts.sign_in_as(operator, address()).await.unwrap();
    let refused = place.accounts.sign_in_as(provided("9", "maria", Some(Role::Viewer)), address()).await;
    assert_eq!(told(refused), "last-operator");
}

/// Who signs in at a provider has no password, by whatever way.
#[tokio::test]
async fn nobody_gets_round_the_provider_with_a_password() {
    let place = peopled().await;
    let link = place.accounts.password_link("julia").await.unwrap().secret;
    let change = UserChange { external: Some(Some(identity("7"))), ..UserChange::default() };
    place.accounts.change_user("julia", change).await.unwrap();
    let julia = UserName::new("julia").unwrap();
    assert_eq!(told(place.sign_in("julia", GOOD).await), "sign-in-refused");
    let rows = [
        (told(place.accounts.change_password(&julia, GOOD, OTHER, address()).await), "password-at-provider"),
        (told(place.accounts.set_password("julia", OTHER).await), "password-at-provider"),
        (told(place.accounts.password_link("julia").await), "password-at-provider"),
        (told(place.accounts.use_link(link.as_str(), None, OTHER, address()).await), "link-unusable"),
    ];
    for (found, expected) in rows {
        assert_eq!(found, expected);
    }
    assert_eq!(told(place.sign_in("julia", OTHER).await), "sign-in-refused");
    let change = UserChange { external: Some(None), ..UserChange::default() };
    place.accounts.change_user("julia", change).await.unwrap();
    place.sign_in("julia", GOOD).await.unwrap();
}

#[tokio::test]
async fn attempts_at_a_provider_are_counted() {
    let place = empty().await;
    for _ in 0..30 {
        place.accounts.count_sign_in(address()).unwrap();
    }
    assert_eq!(told(place.accounts.count_sign_in(address())), "too-many-attempts");
}

#[tokio::test]
async fn a_token_is_never_wider_than_its_maker() {
    let place = peopled().await;
    place.tenant.set_member("julia", Role::Author).await.unwrap();
    let julia = place.principal(&place.sign_in("julia", GOOD).await.unwrap()).await.unwrap();
    let both = [Scope::ReadExecutions, Scope::LaunchExecutions];
    let (text, token) = place.accounts.create_token(&julia, place.wish(&both)).await.unwrap();
    assert_eq!((token.owner.as_str(), token.made_by), ("julia", None));
    let found = place.of_token(text.as_str()).await.unwrap();
    assert!(found.may(Right::History, Thing::Executions) && !found.may(Right::View, Thing::Instances));

    let narrower = place.wish(&[Scope::ReadExecutions]);
    let (child, made) = place.accounts.create_token(&found, narrower).await.unwrap();
    assert_eq!(made.made_by, Some(token.id));
    let found_child = place.of_token(child.as_str()).await.unwrap();
    let of_installation = TokenWish { tenant: None, ..place.wish(&both) };
    let elsewhere = TokenWish { tenant: Some(TenantId::new("other").unwrap()), ..place.wish(&both) };
    let longer = TokenWish { expires_at: made.expires_at.plus_ms(1), ..place.wish(&both[..1]) };
    let unnamed = TokenWish { name: " ".to_owned(), ..place.wish(&both[..1]) };
    let nobody = Principal { user: None, ..julia.clone() };
    let rows = [
        (&found_child, place.wish(&both), "token-too-wide"),
        (&found_child, longer, "token-too-wide"),
        (&found, of_installation.clone(), "token-too-wide"),
        (&julia, of_installation, "token-too-wide"),
        (&julia, elsewhere, "token-too-wide"),
        (&julia, place.wish(&[Scope::Operate]), "token-too-wide"),
        (&julia, place.wish(&[]), "token-without-scope"),
        (&julia, unnamed, "bad-name"),
        (&nobody, place.wish(&both), "token-without-owner"),
    ];
    for (maker, wish, expected) in rows {
        let made = place.accounts.create_token(maker, wish.clone()).await;
        assert_eq!(told(made), expected, "{wish:?}");
    }

    place.tenant.revoke_token(token.id, None).await.unwrap();
    assert_eq!(place.of_token(text.as_str()).await, None);
    assert_eq!(place.of_token(child.as_str()).await, None, "it goes with its maker");
    let made = place.accounts.create_token(&found, place.wish(&both[..1])).await;
    assert_eq!(told(made), "not-found", "a revoked token makes none");
}

/// A credential of one kind is refused where another one is expected.
#[tokio::test]
async fn credentials_are_not_confused() {
    let place = peopled().await;
    let session = place.sign_in("root", GOOD).await.unwrap();
    let root = place.principal(&session).await.unwrap();
    let of_installation = TokenWish { tenant: None, ..place.wish(&[Scope::Operate]) };
    let (token, _) = place.accounts.create_token(&root, of_installation).await.unwrap();
    let link = place.accounts.password_link("root").await.unwrap().secret;
    let (session, token, link) = (session.id.as_str(), token.as_str(), link.as_str());
    let prefixed = format!("sbx_{session}");
    for text in [session, link, &prefixed, &token[4..], &token.to_uppercase(), "", "nothing"] {
        assert_eq!(place.of_token(text).await, None, "{text}");
    }
    for text in [token, link, &token[4..47], "", "nothing"] {
        assert_eq!(place.accounts.principal_of_session(text, None).await.unwrap(), None, "{text}");
    }
    for text in [token, session, &token[4..47], "", "nothing"] {
        assert_eq!(place.accounts.link_purpose(text).await.unwrap(), None, "{text}");
    }
    assert!(place.of_token(token).await.unwrap().may(Right::Operate, Thing::Installation));
}

#[tokio::test]
async fn the_use_of_a_token_is_known_to_the_hour() {
    let place = peopled().await;
    let julia = place.accounts.principal_of_user("julia").await.unwrap();
    assert_eq!(
        told(place.accounts.create_token(&julia, place.wish(&[Scope::ReadFiles])).await),
        "token-too-wide"
    );
    place.tenant.set_member("julia", Role::Viewer).await.unwrap();
    let julia = place.accounts.principal_of_user("julia").await.unwrap();
    let (text, _) = place.accounts.create_token(&julia, place.wish(&[Scope::ReadFiles])).await.unwrap();
    let used = async || place.tenant.tokens(None).await.unwrap()[0].last_used_at;
    assert_eq!(used().await, None);
    place.of_token(text.as_str()).await.unwrap();
    let hour = used().await.unwrap();
    assert_eq!(hour.0 % HOUR_MS, 0);
    place.of_token(text.as_str()).await.unwrap();
    assert_eq!(used().await, Some(hour));
    place.clock.pass(HOUR_MS);
    place.of_token(text.as_str()).await.unwrap();
    assert_eq!(used().await, Some(Timestamp(hour.0 + HOUR_MS)));
    place.clock.pass(24 * HOUR_MS);
    assert_eq!(place.of_token(text.as_str()).await, None, "it has expired");
}

#[tokio::test]
async fn rights_at_an_instance_are_set_by_the_tenant() {
    let place = peopled().await;
    let rights = InstanceRights { view: Some(BTreeSet::new()), ..InstanceRights::default() };
    let rows = [
        (told(place.tenant.set_instance_rights("nightly", &rights).await), "not-found"),
        (told(place.tenant.set_instance_rights("no code", &rights).await), "not-found"),
        (told(place.tenant.set_member("nobody", Role::Viewer).await), "not-found"),
        (told(place.tenant.set_member("", Role::Viewer).await), "not-found"),
        (told(place.tenant.remove_member("julia").await), "not-found"),
        (told(place.tenant.instance_rights("no code").await), "not-found"),
    ];
    for (found, expected) in rows {
        assert_eq!(found, expected);
    }
    place.tenant.set_member("julia", Role::Author).await.unwrap();
    assert_eq!(place.tenant.members().await.unwrap().len(), 1);
    place.tenant.remove_member("julia").await.unwrap();
    assert_eq!(place.tenant.members().await.unwrap().len(), 0);
    let trail = place.tenant.audit(&AuditFilter::default()).await.unwrap();
    assert!(trail.iter().all(|event| event.by.user.as_deref() == Some("root")), "{trail:?}");
}

#[tokio::test]
async fn users_are_changed_by_name() {
    let place = peopled().await;
    let error = place.accounts.user("juila").await.unwrap_err();
    assert_eq!(error.help().as_deref(), Some("did you mean `julia`?"));
    let rows = [
        (told(place.accounts.remove_user("nobody").await), "not-found"),
        (told(place.accounts.remove_user("root").await), "last-operator"),
        (told(place.accounts.password_link("nobody").await), "not-found"),
        (
            told(
                place.accounts.create_user(NewUser { name: "julia".to_owned(), ..NewUser::default() }).await,
            ),
            "already-exists",
        ),
        (
            told(
                place
                    .accounts
                    .create_user(NewUser { name: "a\u{202e}b".to_owned(), ..NewUser::default() })
                    .await,
            ),
            "bad-name",
        ),
        (
            told(
                place.accounts.create_user(NewUser { name: "julia ".to_owned(), ..NewUser::default() }).await,
            ),
            "bad-name",
        ),
    ];
    for (found, expected) in rows {
        assert_eq!(found, expected);
    }
    place.accounts.remove_user("julia").await.unwrap();
    assert!(place.accounts.has_users().await.unwrap());
}

/// No secret is in what many people may read.
#[tokio::test]
async fn the_trails_have_no_secrets() {
    let place = peopled().await;
    place.tenant.set_member("julia", Role::Author).await.unwrap();
    let link = place.accounts.password_link("julia").await.unwrap().secret;
    place.accounts.use_link(link.as_str(), None, OTHER, None).await.unwrap();
    let _ = place.sign_in(GOOD, OTHER).await;
    let session = place.sign_in("julia", OTHER).await.unwrap();
    let julia = place.principal(&session).await.unwrap();
    let (text, token) =
        place.accounts.create_token(&julia, place.wish(&[Scope::ReadExecutions])).await.unwrap();
    place.tenant.revoke_token(token.id, None).await.unwrap();
    place.accounts.sign_out(session.id.as_str()).await.unwrap();
    let filter = AuditFilter::default();
    let events = [place.accounts.audit(&filter).await.unwrap(), place.tenant.audit(&filter).await.unwrap()];
    let shown = format!("{events:?}");
    let hash = secrets::hash_of_token(&text);
    let secrets = [GOOD, OTHER, link.as_str(), session.id.as_str(), text.as_str(), "argon2", hash.as_str()];
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret}");
    }
    place.clock.pass(1);
    assert_eq!(place.accounts.purge_audit(0).await.unwrap(), events[0].len() as u64);
}
