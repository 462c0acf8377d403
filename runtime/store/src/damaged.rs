//! Tests for both stores of rows that the store itself never writes: the store sets the execution aside, and
//! continues.

use stepbox_batch::access::{InstanceRights, Member, Right, Role, Thing, TokenId};
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::execution::queue::{QueueClaim, QueueFilter, QueueState};
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::{Checkpoint, Fate, NewJobExecution, StopRequest};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::{Finding, JobRepository};
use stepbox_store_testing::conformance::queue::{publish, queued};
use stepbox_store_testing::sample::access::*;
use stepbox_store_testing::sample::*;

/// A store whose rows a test can change directly.
#[allow(async_fn_in_trait, reason = "for tests of this crate alone")]
pub(crate) trait Damageable {
    fn store(&self) -> &dyn JobRepository;

    /// Runs statements without the store.
    fn sql(&self, statements: &str);

    /// A literal for bytes in hexadecimal.
    fn bytes(&self, hex: &str) -> String;

    /// The findings of a check; with `mends`, of a repair.
    async fn findings(&self, mends: bool) -> Vec<Finding>;
}

/// Makes a `#[tokio::test]` of each behaviour below.
macro_rules! damaged {
    ($empty_store:ident, $($behaviour:ident)+) => {
        $(#[tokio::test]
        async fn $behaviour() {
            $crate::damaged::$behaviour(&$empty_store().await).await;
        })+
    };
}
pub(crate) use damaged;

/// Takes at most `limit` entries, with leases that expire at [`NOW`]. `running_max` executions of the tenant may
/// run at a time.
async fn take(store: &dyn JobRepository, limit: u32, running_max: u64) -> Vec<JobExecutionId> {
    let wanted = QueueClaim {
        claim: claim("w-1", EARLIER),
        tenants: vec![(tenant(), running_max)],
        filter: QueueFilter::default(),
        limit,
    };
    store.claim_next(&wanted).await.unwrap().into_iter().map(|claimed| claimed.execution.id).collect()
}

async fn publish_with_step(store: &dyn JobRepository) -> JobExecutionId {
    let checkpoint = Some(Checkpoint { reader: vec![7], ..Checkpoint::default() });
    let steps = vec![stepbox_batch::execution::StepExecution { checkpoint, status: Starting, ..step() }];
    publish(store, &NewJobExecution { steps, ..queued("nightly") }).await
}

async fn reasons(store: &dyn JobRepository, action: AuditAction) -> Vec<String> {
    let filter = AuditFilter { action: Some(action), ..AuditFilter::default() };
    let events = store.audit(&tenant(), &filter).await.unwrap();
    events.into_iter().map(|event| format!("{}: {}", event.deed.subject, event.deed.detail)).collect()
}

/// How the row is damaged, how it is mended, and a part of the reason.
const UNRESCUABLE: [(&str, &str, &str); 2] = [
    ("UPDATE queue_entries SET losses = -1", "UPDATE queue_entries SET losses = 0", "`losses` of execution"),
    ("UPDATE job_executions SET status = 42", "UPDATE job_executions SET status = 3", "no batch status 42"),
];

pub(crate) async fn one_that_cannot_be_rescued_is_set_aside_and_the_others_are_rescued(
    damageable: &impl Damageable,
) {
    let store = damageable.store();
    with_instance(store).await;
    for (damage, cure, expected) in UNRESCUABLE {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(publish(store, &queued("nightly")).await);
        }
        assert_eq!(take(store, 9, 9).await, ids);
        let which = if damage.contains("queue") { "execution_id" } else { "id" };
        damageable.sql(&format!("{damage} WHERE {which} = {}", ids[1]));

        let rescued = store.rescue_lost(NOW).await.unwrap();
        let fates: Vec<_> = rescued.iter().map(|rescued| (rescued.id, rescued.fate)).collect();
        let again = Fate::Requeued(NOW);
        assert_eq!(fates, [(ids[0], again), (ids[1], Fate::SetAside), (ids[2], again)], "{damage}");
        let reason = rescued[1].reason.clone().unwrap();
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(lost(store, NOW.plus_ms(1_000_000)).await, [], "it is not tried again");
        let events = reasons(store, AuditAction::ExecutionSetAside).await;
        assert!(
            events[0].starts_with(&format!("{}: ", ids[1])) && events[0].contains(expected),
            "{events:?}"
        );

        // The execution does not run, does not wait, and does not use a place of another one.
        assert_eq!(store.held(EARLIER).await.unwrap(), []);
        let depths = store.queue_depths().await.unwrap();
        let depths: Vec<_> = depths.iter().map(|depth| (depth.state, depth.count)).collect();
        assert_eq!(depths, [(QueueState::Waiting, 2)]);
        assert_eq!(take(store, 9, 1).await, [ids[0]]);
        let entry = store.queue_entry(&tenant(), ids[1]).await;
        assert!(entry.is_err() || entry.unwrap().unwrap().state == QueueState::Claimed);

        damageable.sql(&format!("{cure} WHERE {which} = {}", ids[1]));
        assert_eq!(stored(store, ids[1]).await.set_aside, Some(reason));
        let claimed = store.claim(&tenant(), ids[1], &claim("w-2", NOW), &by(NOW)).await;
        assert_eq!(told(claimed), "wrong-status");
        // A person may end this execution, and the others.
        let stop = store.request_stop(&tenant(), ids[1], &by(NOW)).await.unwrap();
        assert_eq!(stop, StopRequest::StoppedAtOnce);
        let ended = stored(store, ids[1]).await;
        assert_eq!((ended.status, ended.set_aside), (Stopped, None));
        lost(store, NOW).await;
        for id in [ids[0], ids[2]] {
            store.request_stop(&tenant(), id, &by(NOW)).await.unwrap();
        }
    }
}

pub(crate) async fn a_claim_passes_over_one_that_cannot_be_read(damageable: &impl Damageable) {
    let store = damageable.store();
    with_instance(store).await;
    let damages = [
        format!("UPDATE step_executions SET checkpoint = {} WHERE execution_id", damageable.bytes("03")),
        "UPDATE step_executions SET summary = '[]' WHERE execution_id".to_owned(),
        "UPDATE job_executions SET job = '{' WHERE id".to_owned(),
        "UPDATE job_executions SET context = '{' WHERE id".to_owned(),
        "UPDATE job_executions SET parameters = '{' WHERE id".to_owned(),
        "UPDATE job_executions SET failures = '{' WHERE id".to_owned(),
        "UPDATE job_executions SET attempt = -7 WHERE id".to_owned(),
    ];
    let mut damaged = Vec::new();
    for damage in &damages {
        let id = publish_with_step(store).await;
        damageable.sql(&format!("{damage} = {id}"));
        damaged.push(id);
    }
    let whole = [publish_with_step(store).await, publish_with_step(store).await];
    assert_eq!(take(store, 1, 9).await, [whole[0]], "however many are in its way");
    assert_eq!(take(store, 9, 9).await, [whole[1]]);
    assert_eq!(take(store, 9, 9).await, []);
    let events = reasons(store, AuditAction::ExecutionSetAside).await;
    let mut told: Vec<u64> =
        events.iter().map(|event| event.split(':').next().unwrap().parse().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, damaged.iter().map(|id| id.0).collect::<Vec<_>>(), "{events:?}");
    let again = Fate::Requeued(NOW);
    let expected = whole.map(|id| (tenant(), id, again));
    assert_eq!(lost(store, NOW).await, expected, "those that are set aside are nobody's");
}

/// Checks the findings, and what a repair does about them.
async fn check_rules(damageable: &impl Damageable, of: &[(JobExecutionId, &str, &str)]) {
    let told = |findings: Vec<Finding>| {
        let line = |finding: Finding| {
            let Finding { execution, reason, remedy, .. } = finding;
            (execution.unwrap(), reason, remedy.unwrap_or_default())
        };
        findings.into_iter().map(line).collect::<Vec<_>>()
    };
    let (found, mended) = (told(damageable.findings(false).await), told(damageable.findings(true).await));
    for (id, reason, remedy) in of {
        let is_it = |(execution, found, _): &&(i64, String, String)| {
            u64::try_from(*execution) == Ok(id.0) && found.contains(reason)
        };
        let before = found.iter().find(is_it).unwrap_or_else(|| panic!("{id} {reason}: {found:#?}"));
        assert_eq!(before.2, "", "a check changes nothing");
        let after = mended.iter().find(is_it).unwrap_or_else(|| panic!("{id} {reason}: {mended:#?}"));
        assert_eq!(after.2, *remedy, "{id} {reason}");
    }
    assert_eq!(damageable.findings(false).await, [], "nothing is left");
}

pub(crate) async fn a_check_finds_what_breaks_a_rule_and_a_repair_mends_it(damageable: &impl Damageable) {
    let store = damageable.store();
    with_instance(store).await;
    assert_eq!(damageable.findings(false).await, []);
    let (ended, _) = in_status(store, Failed, Hold::Free).await;
    let queued_and_ended = publish(store, &queued("nightly")).await;
    let nobodys = publish(store, &queued("nightly")).await;
    assert_eq!(take(store, 9, 9).await, [queued_and_ended, nobodys]);
    let begun = publish(store, &queued("nightly")).await;
    assert_eq!(take(store, 9, 9).await, [begun]);
    damageable.sql(&format!(
        "UPDATE job_executions SET lease_expires_at = 1 WHERE id = {ended};
         UPDATE job_executions SET lease_expires_at = NULL, status = 6, ended_at = 1 WHERE id = {queued_and_ended};
         UPDATE job_executions SET lease_expires_at = NULL WHERE id = {nobodys};
         UPDATE job_executions SET lease_expires_at = NULL, status = 3 WHERE id = {begun};",
        ended = ended.id
    ));
    let of = [
        (ended.id, "a worker still holds it", "its lease was ended"),
        (queued_and_ended, "is still in the queue", "taken out of the queue"),
        (nobodys, "as claimed, and nobody holds it", "it waits again"),
        (begun, "a worker has begun it, and nobody holds it", "rescued"),
    ];
    check_rules(damageable, &of).await;
    assert_eq!(reasons(store, AuditAction::ExecutionRepaired).await.len(), 4);
    assert_eq!(take(store, 9, 9).await, [nobodys, begun], "both go on");
}

pub(crate) async fn a_repair_makes_readable_what_can_be_and_ends_it(damageable: &impl Damageable) {
    let store = damageable.store();
    with_instance(store).await;
    let [checkpoint, context, ended] =
        [publish_with_step(store).await, publish_with_step(store).await, publish_with_step(store).await];
    store.abandon(&tenant(), ended, &by(NOW)).await.unwrap();
    let bytes = damageable.bytes("03");
    damageable.sql(&format!(
        "UPDATE step_executions SET checkpoint = {bytes} WHERE execution_id IN ({checkpoint}, {ended});
         UPDATE job_executions SET context = '{{', failures = '{{' WHERE id = {context};"
    ));
    // One execution is set aside by a claim; the other is found by the check while it waits.
    assert_eq!(take(store, 1, 9).await, []);
    let of = [
        (checkpoint, "it is set aside: the store holds a `checkpoint`", "it is FAILED; emptied: checkpoint"),
        (context, "it is set aside", "it is FAILED; emptied: context, failures"),
        (ended, "`checkpoint` of step `greet`", "emptied: checkpoint"),
    ];
    check_rules(damageable, &of).await;
    for (id, status) in [(checkpoint, Failed), (context, Failed), (ended, Abandoned)] {
        assert_eq!(stored(store, id).await.status, status);
    }
    let failure = &stored(store, checkpoint).await.failures[0];
    assert!(failure.code == "store-corrupt" && failure.message.contains("`checkpoint` of step"), "{failure}");
    let restart = NewJobExecution { restart_of: Some(checkpoint), ..new("nightly") };
    store.create_execution(&restart, None).await.unwrap();
    store.abandon(&tenant(), context, &by(NOW)).await.unwrap();
}

pub(crate) async fn a_check_tells_what_could_not_be_rescued_and_changes_nothing(
    damageable: &impl Damageable,
) {
    let store = damageable.store();
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    take(store, 1, 9).await;
    damageable.sql("UPDATE queue_entries SET losses = -1");
    for _ in 0..2 {
        let findings = damageable.findings(false).await;
        let told = findings.iter().map(|finding| &finding.reason[..]).collect::<Vec<_>>();
        assert!(told.iter().any(|reason| reason.contains("it is lost and cannot be rescued")), "{told:?}");
        assert!(findings.iter().all(|finding| finding.execution == Some(i64::try_from(id.0).unwrap())));
    }
    assert_eq!(stored(store, id).await.set_aside, None);
}

/// Damage of users and their rights gives nobody more, stops nobody else, and is told by a check.
pub(crate) async fn what_is_damaged_of_users_gives_nothing_and_is_told(damageable: &impl Damageable) {
    let store = damageable.store();
    with_instance(store).await;
    for (byte, text) in [(1, "julia"), (2, "peter")] {
        with_member(store, text, Role::Author).await;
        signed_in(store, byte, text).await;
        with_token(store, &token(byte, text)).await;
    }
    let nightly = code("nightly");
    let both =
        InstanceRights { launch: Some([name("julia"), name("peter")].into()), ..InstanceRights::default() };
    store.set_instance_rights(&tenant(), &nightly, &both, &by(NOW)).await.unwrap();
    assert_eq!(damageable.findings(false).await, []);
    let may = async |byte| {
        let found = of_session(store, byte, NOW).await;
        found.is_some_and(|found| found.principal.may(Right::Edit, Thing::Instance(&nightly)))
    };
    assert!(may(1).await && may(2).await);

    damageable.sql("UPDATE members SET role = 'root' WHERE user_name = 'julia'");
    assert!(!may(1).await && may(2).await, "a damaged role is none");
    let members = store.members(&tenant()).await.unwrap();
    assert_eq!((members.len(), members.damaged.len()), (1, 1));
    let author = Member { user: name("julia"), role: Role::Author };
    let reason = expected(damageable, "there is no role `root`").await;
    assert!(reason.contains("`role` of member `julia`"), "{reason}");
    store.set_member(&tenant(), &author, &by(NOW)).await.unwrap();
    signed_in(store, 3, "julia").await;
    assert!(may(3).await, "it can be set again");

    damageable.sql(
        "INSERT INTO instance_rights (tenant, instance, right_name) VALUES ('default', 'nightly', 'remove')",
    );
    assert!(!may(3).await && !may(2).await, "nobody knows what the list was for");
    expected(damageable, "there is no right `remove`").await;
    store.set_instance_rights(&tenant(), &nightly, &both, &by(NOW)).await.unwrap();
    assert!(may(3).await && may(2).await);

    damageable.sql("UPDATE tokens SET scopes = '[\"everything\"]' WHERE owner = 'julia'");
    let found = store.principal_of_token(&token_hash(1), Some(&tenant()), NOW).await;
    assert_eq!(told(found), "store-corrupt");
    assert!(of_token(store, 2, NOW).await.is_some());
    let damaged = store.tokens(Some(&tenant()), None).await.unwrap().damaged.remove(0);
    expected(damageable, "there is no scope `everything`").await;
    let id = TokenId(damaged.name.parse().unwrap());
    store.revoke_token(Some(&tenant()), id, None, &by(NOW)).await.unwrap();

    damageable.sql("UPDATE users SET issuer = 'https://login.example' WHERE name = 'peter'");
    expected(damageable, "an identity has an issuer and a subject").await;
    assert_eq!(store.users(None, 0).await.unwrap().len(), 1);
    store.remove_user(&name("peter"), &by(NOW)).await.unwrap();
    assert_eq!(damageable.findings(false).await, [], "nothing is left");
}

/// The only finding of a check, which has these words.
async fn expected(damageable: &impl Damageable, words: &str) -> String {
    let mut findings = damageable.findings(false).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = findings.remove(0);
    assert!(finding.execution.is_none() && finding.reason.contains(words), "{finding:?}");
    finding.reason
}

/// A whole that is in no queue, and its two parts, all lost: the rows of the schema before, for both stores.
pub(crate) const LOST_IN_PARTS: &str = r#"
    INSERT INTO job_executions
        (tenant, instance, status, stoppable, created_at, updated_at, attempt, lease_token, lease_expires_at,
         heartbeat_at, worker, exit_code, exit_description, failures, context, parameters, parameters_key, job)
    VALUES
        ('default', 'nightly', 3, TRUE, 1, 1, 1, 1, 5, 1, 'w-1', 'EXECUTING', '', '[]', '{}', '{}', '',
         '{"format":"1","connector":"acme","name":"greet","type":"export","label":"Greet",
           "stoppable":true,"parameters":{},"steps":[]}');
    INSERT INTO job_executions
        (tenant, instance, status, stoppable, created_at, updated_at, attempt, lease_token, lease_expires_at,
         heartbeat_at, worker, exit_code, exit_description, failures, context, parameters, parameters_key, job,
         partition_of, partition_step, partition_number, partition_count)
    SELECT tenant, instance, status, stoppable, created_at, updated_at, attempt, lease_token, lease_expires_at,
           heartbeat_at, worker, exit_code, exit_description, failures, context, parameters, parameters_key, job,
           1, 0, n, 2
    FROM job_executions, (SELECT 0 AS n UNION SELECT 1) AS parts;
    INSERT INTO queue_lanes (tenant, type, job, instance) VALUES ('default', 'export', 'greet', '');
    INSERT INTO queue_entries
        (tenant, execution_id, lane, state, priority, turn, available_at, losses, attempts_max)
    SELECT tenant, id, 1, 2, 0, 1, 1, 0, 5 FROM job_executions WHERE partition_of IS NOT NULL;
"#;

pub(crate) async fn a_lost_whole_in_parts_is_ended(store: &dyn JobRepository) {
    assert_eq!(lost(store, NOW).await, [(tenant(), JobExecutionId(1), Fate::Failed)]);
    for (id, status) in [(1, Failed), (2, Stopped), (3, Stopped)] {
        assert_eq!(stored(store, JobExecutionId(id)).await.status, status);
    }
    assert_eq!(lost(store, NOW).await, []);
    // Of the rows that are older than the events, only changes since then have events.
    let events = all_events(store, None).await;
    let told: Vec<_> = events.iter().map(|event| (event.id.0, in_words(&event.happened))).collect();
    let expected = [(1, "ended FAILED"), (2, "ended STOPPED"), (3, "ended STOPPED")];
    assert_eq!(told, expected.map(|(id, words)| (id, words.to_owned())));
}
