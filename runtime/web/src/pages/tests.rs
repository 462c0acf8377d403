//! The pages of those who build and operate, with hostile texts in every field: each comes out as text.

use std::collections::BTreeSet;

use maud::Markup;
use serde_json::json;
use stepbox_api::audit::{AuditEvent, Subject};
use stepbox_api::connector::{BrokenInstance, Component, Connector, ConnectorSummary, Grant, Installed};
use stepbox_api::execution::Execution;
use stepbox_api::list::{DamagedRow, Row};
use stepbox_api::member::{InstanceRights, Member, Membership, Role};
use stepbox_api::policy::{Components, HttpLists, Network, Policy, Quotas, Secret, Storage};
use stepbox_api::problem::{Problem, ProblemKind};
use stepbox_api::queue::{QueueEntry, QueueState};
use stepbox_api::step::Limits;
use stepbox_api::tenant::{QueueDepths, Standing, TenantDetails, TenantUsage};
use stepbox_api::token::{CreatedToken, Token};
use stepbox_api::user::{ExternalIdentity, User};
use stepbox_api::worker::{RunningExecution, Worker, WorkerState};
use stepbox_batch::error_kind::ErrorKind;

use super::*;
use crate::frame::{Frame, Viewer};
use crate::reader::{Reader, Theme};

const NOW: &str = "2026-11-30T13:31:44Z";
/// Markup, the ends of elements that hold text, a script's address, an escape, and a turn of the direction.
const EVIL: &str = "\"><script>alert(1)</script></textarea>javascript:x\u{1b}[31m\u{202e}\n";

fn evil() -> String {
    EVIL.to_owned()
}

fn frame() -> Frame {
    Frame {
        base: "/x".to_owned(),
        reader: Reader::new("UTC", "en", Theme::System, NOW.parse().unwrap()),
        viewer: Viewer { name: evil(), is_operator: true, ..Viewer::default() },
        tenant: Some("acme".to_owned()),
        tenants: vec!["acme".to_owned()],
        running: 0,
        waiting: 0,
    }
}

fn problem() -> Problem {
    Problem::new(ProblemKind::Domain(ErrorKind::BadRequest), "body-invalid", EVIL).with_help(Some(evil()))
}

fn damaged<T>() -> Row<T> {
    Row::Damaged(DamagedRow { id: None, kind: "x".to_owned(), name: evil(), damaged: evil() })
}

fn component() -> Component {
    Component {
        digest: evil(),
        name: evil(),
        version: evil(),
        world: evil(),
        size_bytes: 1,
        uploaded_at: Some(NOW.to_owned()),
        signed_by: Some(evil()),
        description: json!({
            "summary": EVIL, "columns_in": [EVIL], "columns_out": null,
            "parameters": { "required": [EVIL], "properties": {
                EVIL: { "type": EVIL, "format": EVIL, "title": EVIL, "description": EVIL, "default": EVIL }
            } },
        }),
    }
}

fn grants() -> Vec<Grant> {
    let grant = |effective: &str| Grant {
        step: evil(),
        asked: evil(),
        policy: evil(),
        effective: effective.to_owned(),
    };
    vec![grant(EVIL), grant(&format!("nothing: {EVIL}"))]
}

/// An execution as the API writes it, with these texts.
fn execution() -> Execution {
    serde_json::from_value(json!({
        "id": 7, "instance": EVIL, "connector": EVIL, "job": EVIL, "type": EVIL, "status": "STARTED",
        "exit_status": { "code": "UNKNOWN", "description": EVIL }, "user": EVIL, "created_at": NOW,
        "started_at": NOW, "ended_at": NOW, "updated_at": NOW, "worker": EVIL, "attempt": 1,
        "stop_requested": false, "set_aside": EVIL, "restart_of": null, "queue": null, "folder": null,
        "parameters": {}, "components": [], "warning_count": 3, "failures": [], "step_count": 1, "steps": [],
    }))
    .unwrap()
}

fn connector() -> Connector {
    let job = serde_json::from_value(json!({
        "connector": EVIL, "name": EVIL, "type": EVIL, "label": EVIL, "stoppable": true, "concurrency": 2,
        "parameters": component().description["parameters"], "steps": [],
    }));
    Connector { code: evil(), label: evil(), jobs: vec![job.unwrap()], grants: grants() }
}

fn user() -> User {
    User {
        name: evil(),
        label: evil(),
        operator: false,
        suspended: false,
        created_at: evil(),
        password_changed_at: None,
        external: Some(ExternalIdentity { issuer: evil(), subject: evil() }),
    }
}

fn token() -> Token {
    Token {
        id: 1,
        name: evil(),
        owner: evil(),
        tenant: Some(evil()),
        instance: Some(evil()),
        scopes: vec![evil()],
        created_at: NOW.to_owned(),
        expires_at: evil(),
        last_used_at: Some(evil()),
        made_by: None,
    }
}

fn work() -> workers::Work {
    let worker = Worker {
        name: evil(),
        state: WorkerState::Working,
        concurrency: 4,
        jobs: vec![evil()],
        types: vec![evil() + "other"],
        tenants: vec![evil()],
        started_at: NOW.to_owned(),
        seen_at: NOW.to_owned(),
        clock_skew_ms: Some(-5000),
        running: vec![RunningExecution { tenant: evil(), execution: 7, instance: evil() }],
    };
    let entry = QueueEntry {
        state: QueueState::Waiting,
        priority: 0,
        available_at: NOW.to_owned(),
        losses: 0,
        attempts_max: 5,
    };
    workers::Work {
        workers: vec![Row::Whole(worker), damaged()],
        depths: QueueDepths { waiting: 1, delayed: 0, claimed: 1 },
        oldest: Some(NOW.to_owned()),
        queue: vec![workers::Queued { execution: execution(), entry }],
    }
}

fn details() -> TenantDetails {
    let quotas = Quotas {
        running_max: 4,
        queued_max: 100,
        memory_bytes_max: 1 << 30,
        processors_max: None,
        disk_bytes_max: 1,
        disk_files_max: 1,
        http_connections_max: 1,
        stop_grace_ms: 30_000,
        uploaded_bytes_max: 1,
        uploaded_files_max: 1,
    };
    let usage = TenantUsage { queued: 1, running: 2, components: 3, component_bytes: 4 };
    TenantDetails { name: evil(), standing: Standing::Suspended, quotas, usage }
}

fn policy() -> Policy {
    let names = || Some(vec![evil()]);
    Policy {
        tenant: evil(),
        file: evil(),
        is_default: false,
        suspended: false,
        network: Network { loopback: true, private: false },
        http: HttpLists { hosts: names(), schemes: names(), methods: names(), ports: names() },
        folders: names(),
        limits: Limits(
            [(evil(), json!(1)), ("memory_bytes_max".to_owned(), json!(null))].into_iter().collect(),
        ),
        quotas: details().quotas,
        secrets: vec![
            Secret { name: evil(), hosts: names(), problem: None },
            Secret { name: evil(), hosts: None, problem: Some(evil()) },
        ],
        storages: vec![
            Storage { name: evil(), storage_type: Some(evil()), address: Some(evil()), problem: None },
            Storage { name: evil(), storage_type: None, address: None, problem: Some(evil()) },
        ],
        components: Components {
            upload: true,
            signed_by: names(),
            count_max: 1,
            size_bytes_max: 1,
            total_bytes_max: 1,
        },
    }
}

fn event(action: &str, kind: &str) -> Row<AuditEvent> {
    Row::Whole(AuditEvent {
        id: 3,
        at: evil(),
        user: Some(evil()),
        runtime: false,
        action: action.to_owned(),
        subject: Subject { kind: kind.to_owned(), name: evil() },
        detail: json!({
            "reason": EVIL, "job": EVIL, "instance": EVIL, "worker": EVIL, "becomes": EVIL, "remedy": EVIL,
            "name": EVIL, "owner": EVIL, "client": EVIL, "signed_by": EVIL, "parameters": [EVIL],
            "before": EVIL, "after": EVIL, "jobs": [], "restart_of": EVIL, "events": EVIL, EVIL: EVIL,
        }),
    })
}

fn trail() -> Markup {
    let kinds = ["component", "connector", "instance", "file", "execution", "user", "token", "audit"];
    let actions = stepbox_batch::audit::AuditAction::ALL.map(|action| event(action.as_str(), action.kind()));
    let events: Vec<_> =
        actions.into_iter().chain(kinds.map(|kind| event(EVIL, kind))).chain([damaged()]).collect();
    let asked = audit::Asked { user: evil(), action: evil(), since: evil() };
    audit::trail(
        &frame(),
        &audit::Trail {
            events: &events,
            asked: &asked,
            actions: &["signed-in"],
            address: "/x/audit",
            older: Some(3),
            is_later_page: true,
        },
    )
}

fn found_component() -> components::Found {
    components::Found {
        component: component(),
        grants: grants(),
        checked_ms: 1900,
        needs_signature: true,
        problem: Some(problem()),
        is_known: false,
        versions: vec![evil()],
        bytes_max: 1,
    }
}

fn found_connector() -> connectors::Found {
    connectors::Found {
        installed: Installed {
            connector: connector(),
            broken: vec![BrokenInstance { code: evil(), reason: evil() }],
            broken_hidden: 1,
            unused: Vec::new(),
            optional_in_grants: Vec::new(),
        },
        components: vec![component()],
        replaced: Some(vec![evil()]),
    }
}

fn connectors_page() -> Markup {
    let summary = ConnectorSummary { code: evil(), label: evil(), jobs: vec![evil()] };
    let listed = [components::Listed { component: component(), used_by: vec![evil()] }];
    let (problem, damaged_row) =
        (problem(), DamagedRow { id: None, kind: evil(), name: evil(), damaged: evil() });
    connectors::list(
        &frame(),
        &connectors::Page {
            connectors: &[Row::Whole(summary), damaged()],
            components: &listed,
            damaged: &[damaged_row],
            may_edit_connectors: true,
            may_edit_steps: true,
            component_bytes_max: 1,
            package_bytes_max: 1,
            component_problem: Some(&problem),
            package_problem: Some(&problem),
        },
    )
}

fn dashboard_page() -> Markup {
    let shown = dashboard::Dashboard {
        wants: vec![execution()],
        running: vec![execution()],
        ended: vec![execution()],
        often: vec![dashboard::Often { code: evil(), ended: 3, failed: 1 }],
        day: Some(dashboard::Day { hours: [(3, 1); 24], written: 1, skipped: 1, is_cut: true }),
        work: work(),
        labels: [(evil(), evil())].into(),
        may_launch: true,
    };
    dashboard::show(&frame(), &shown)
}

fn account_page() -> Markup {
    let (problem, created) = (problem(), CreatedToken { token: token(), text: evil() });
    account::show(
        &frame(),
        &account::Account {
            tokens: &[token()],
            tenants: &[EVIL],
            scopes: &["steps:read"],
            is_operator: true,
            created: Some(&created),
            asked: account::Asked {
                name: evil(),
                tenant: evil(),
                instance: evil(),
                scopes: vec![evil()],
                days: evil(),
            },
            token_problem: Some(&problem),
            password_problem: Some(&problem),
            ..account::Account::default()
        },
    )
}

fn user_page() -> Markup {
    let (user, problem) = (user(), problem());
    let shown = users::OneUser {
        user: &user,
        memberships: &[Membership { tenant: evil(), role: Role::Author }],
        link: Some((EVIL, EVIL)),
        ended: Some(1),
        problem: Some(&problem),
    };
    users::show(&frame(), &shown)
}

#[test]
fn hostile_texts_are_texts_on_every_page() {
    let (frame, problem) = (frame(), problem());
    let new = users::New { name: EVIL, label: EVIL, is_operator: false, problem: Some(&problem) };
    let list: BTreeSet<String> = [evil()].into();
    let rights = InstanceRights { view: Some(list.clone()), edit: None, launch: Some(list), history: None };
    let listed = components::Listed { component: component(), used_by: vec![evil()] };
    let begin =
        dashboard::Beginning { jobs: vec![evil()], has_profile: true, has_worker: false, may_edit: true };
    let members = [Row::Whole(Member { user: evil(), role: Role::Viewer }), damaged()];
    let pages = [
        ("account", account_page()),
        ("audit", trail()),
        ("connectors", connectors_page()),
        ("connector", connectors::show(&frame, &connector(), true, true)),
        (
            "inspected connector",
            connectors::inspected(&frame, EVIL, EVIL, &found_connector(), Some(&problem)),
        ),
        ("component", components::show(&frame, &listed, &grants(), true)),
        ("inspected component", components::inspected(&frame, EVIL, &found_component())),
        ("dashboard", dashboard_page()),
        ("begin", dashboard::begin(&frame, &begin)),
        (
            "members",
            members::list(
                &frame,
                &members::Page {
                    members: &members,
                    profiles: &[(evil(), evil())],
                    user: EVIL,
                    problem: Some(&problem),
                },
            ),
        ),
        ("rights", members::rights(&frame, EVIL, &rights, Some(&problem))),
        ("tenants", tenants::list(&frame, &[details()], true)),
        ("policy", tenants::policy(&frame, &policy(), &details(), true)),
        ("users", users::list(&frame, &[Row::Whole(user()), damaged()], Some("/x"), &new)),
        ("user", user_page()),
        ("workers", workers::show(&frame, &work())),
        ("failed", failed::failed_within(&frame, &problem)),
    ];
    for (name, page) in pages {
        let page = page.into_string();
        assert!(page.contains("&lt;script&gt;"), "{name} shows none of it");
        for wrong in ["<script>alert", "</textarea>j", "=\"javascript:", " style=", " onclick="] {
            assert!(!page.contains(wrong), "{name}: {wrong}");
        }
    }
}

#[test]
fn no_text_steers_what_is_around_it() {
    // Values of fields and of forms are given back as they were typed; everything else is made visible.
    let frame = frame();
    let pages = [
        connectors::show(&frame, &connector(), true, true),
        connectors_page(),
        components::inspected(&frame, "id", &found_component()),
        workers::show(&frame, &work()),
        dashboard_page(),
        tenants::policy(&frame, &policy(), &details(), false),
    ];
    for page in pages {
        let page = page.into_string();
        let text: String =
            page.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
        assert!(text.contains("\\u{1b}") && text.contains("\\u{202e}"), "{text:.500}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:.500}");
    }
}

#[test]
fn what_no_worker_takes_is_told() {
    let job = |kind: &str, name: &str| {
        let execution = Execution { r#type: kind.to_owned(), job: name.to_owned(), ..execution() };
        let entry = QueueEntry {
            state: QueueState::Waiting,
            priority: 0,
            available_at: NOW.to_owned(),
            losses: 0,
            attempts_max: 5,
        };
        workers::Queued { execution, entry }
    };
    let worker = |types: &[&str], jobs: &[&str], state| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let Some(Row::Whole(worker)) = work().workers.into_iter().next() else { unreachable!() };
        Row::Whole(Worker { types: owned(types), jobs: owned(jobs), state, ..worker })
    };
    let rows: [(Vec<Row<Worker>>, &str); 5] = [
        (vec![], "import 2,export 1"),
        (vec![worker(&[], &[], WorkerState::Working)], ""),
        (vec![worker(&[], &[], WorkerState::Lost)], "import 2,export 1"),
        (vec![worker(&["export"], &[], WorkerState::Working)], "import 2"),
        (vec![worker(&[], &["b"], WorkerState::Working)], "import 1,export 1"),
    ];
    for (workers, expected) in rows {
        let queue = vec![job("import", "a"), job("import", "b"), job("export", "c")];
        let found = workers::Work { workers, queue, ..work() }.waits_for_nobody();
        let found: Vec<_> = found.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        assert_eq!(found.join(","), expected);
    }
}
