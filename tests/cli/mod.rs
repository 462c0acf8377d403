//! The command line, from outside: whole commands and their whole output.

mod differences;
mod documentation;
mod lying_database;
mod odd_inputs;
mod proxies;
mod pull;
mod registry;
mod runs;
mod secrets;
mod servers;
mod session;
mod terminal;
mod twice;
mod workers;

use stepbox_guest_artifacts::{hostile, steps};
use stepbox_test_postgres::Server;

use crate::signatures::Key;
pub(crate) use session::Folder;
use twice::{play_here, play_twice};

/// Four lines of a catalogue, of which the last one is ragged.
const PRODUCTS: &str = "sku,name,price\n1,Chair,10.5\n2,\"Table, round\",20\n3,Lamp,7\n4,broken\n";

/// A job of two steps that skip the same items.
const EXPORTS_TWICE: &str = r#"
connector: twice
jobs:
  twice:
    type: export
    parameters: { extends: csv_export }
    steps:
      - &export
        name: first
        reader: { csv: { from: "${parameters.source}" } }
        writer: { csv: { to: first.csv } }
      - { <<: *export, name: second, writer: { csv: { to: second.csv } } }
"#;

/// A job of one step, whose component can be replaced.
const PRINTS: &str = "\
connector: printing
components: { print: print.wasm }
jobs:
  print:
    type: test
    steps:
      - { name: print, tasklet: print }
";

/// A job whose step asks for more than it needs.
const ASKS_FOR_MUCH: &str = r#"
connector: limits
components: { notify: steps/notify.wasm }
jobs:
  notify:
    type: test
    steps:
      - name: notify
        tasklet: notify
        grants: { files: { out: write /etc, in: read catalogue } }
        limits: { memory_bytes_max: 9000000000, cpu_ms_max: 60000, http_requests_max: 2 }
"#;

/// A folder with a catalogue.
fn with_products() -> Folder {
    let folder = Folder::new();
    folder.write("products.csv", PRODUCTS);
    let parameters = r#"{
  "source": { "type": "local", "file_path": "products.csv" },
  "storage": { "type": "local", "file_path": "out/products.csv" }
}
"#;
    folder.write("parameters.json", parameters);
    folder
}

/// The same with an instance `products` of the native CSV export.
fn with_instance() -> Folder {
    let folder = with_products();
    folder.run("stepbox instances create stepbox csv_export export products @parameters.json 'All products'");
    folder
}

/// The same folder with the user who sends the commands to a server, and a token of theirs.
fn signed_in(folder: Folder) -> Folder {
    twice::sign_in(&folder);
    folder
}

/// A folder with the worked example's connector, its components built.
fn with_connector() -> Folder {
    let folder = with_products();
    let yaml = include_str!("../../examples/csv-notify/connector.yaml");
    folder.write("csv-notify/connector.yaml", yaml);
    for (name, path) in [("normalise", steps::NORMALISE), ("notify", steps::NOTIFY)] {
        let component = std::fs::read(path).expect("the guest was built");
        folder.write(&format!("csv-notify/steps/{name}.wasm"), component);
    }
    folder
}

#[test]
fn help_pages_end_with_real_commands() {
    play_here("help", &Folder::new());
}

#[test]
fn a_command_in_the_wrong_folder_makes_nothing() {
    play_here("wrong_folders", &Folder::new());
}

#[test]
fn jobs_are_listed_and_shown() {
    play_twice("jobs", Folder::new);
}

#[test]
fn instances_are_created_shown_edited_duplicated_and_deleted() {
    play_twice("instances", with_products);
}

#[test]
fn instances_run_and_their_executions_are_shown() {
    play_twice("executions", with_instance);
}

#[test]
fn skipped_items_are_shown_corrected_and_exported_again() {
    play_twice("rejected", || {
        let folder = with_instance();
        folder.write("twice/connector.yaml", EXPORTS_TWICE);
        folder.run("stepbox connectors add twice");
        folder.run("stepbox instances create twice twice export twice @parameters.json");
        folder
    });
}

#[test]
fn a_paused_execution_is_resumed() {
    play_twice("resume", runs::with_paused_run);
}

#[test]
fn newest_components_are_used_when_asked_for() {
    play_twice("newest_components", || {
        let folder = Folder::new();
        folder.write("printing/connector.yaml", PRINTS);
        for (version, guest) in [("old", "fails_with_error"), ("new", "own_exit_status")] {
            let (_, path) =
                hostile::ALL.iter().find(|(name, _)| *name == guest).expect("there is such a guest");
            folder.write(&format!("{version}.wasm"), std::fs::read(path).expect("the guest was built"));
        }
        folder.run("cp old.wasm printing/print.wasm; stepbox connectors add printing");
        folder.run("stepbox instances create printing print test print");
        folder
    });
}

#[test]
fn connectors_are_installed_shown_and_removed() {
    play_twice("connectors", with_connector);
}

#[test]
fn components_are_inspected_kept_and_removed() {
    play_twice("steps", with_connector);
}

/// A component with a released version: the guests are all of version 0.1.0. The versions of interfaces, which follow
/// an `@`, stay.
fn released(mut component: Vec<u8>) -> Vec<u8> {
    let is_version = |at: &usize| &component[*at..*at + 5] == b"0.1.0" && component[*at - 1] != b'@';
    let places: Vec<_> = (1..component.len() - 5).filter(is_version).collect();
    places.into_iter().for_each(|at| component[at] = b'1');
    component
}

#[test]
fn a_released_version_stands_for_the_same_bytes() {
    play_twice("released_versions", || {
        let folder = Folder::new();
        folder.write("notify.wasm", released(std::fs::read(steps::NOTIFY).expect("the guest was built")));
        folder
    });
}

#[test]
fn users_members_and_tokens_come_change_and_go() {
    play_twice("access", || signed_in(with_instance()));
}

#[test]
fn bad_parameters_get_a_clear_error() {
    play_twice("bad_parameters", with_instance);
}

#[test]
fn bad_connector_files_get_a_clear_error() {
    play_twice("bad_connectors", Folder::new);
}

#[test]
fn what_is_no_component_is_refused() {
    play_twice("bad_components", with_connector);
}

#[test]
fn bad_files_end_the_execution_as_failed() {
    play_twice("bad_files", || {
        let folder = with_instance();
        folder.write("latin1.csv", b"sku,name\n1,Sof\xe0\n");
        folder
    });
}

#[test]
fn nothing_half_written_has_a_final_name() {
    play_twice("final_names", with_instance);
}

#[test]
fn components_of_other_versions_are_refused() {
    play_twice("other_versions", with_connector);
}

#[test]
fn bad_data_folders_get_a_clear_error() {
    play_here("bad_data_folders", &with_instance());
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let folder = with_instance();
    let database = rusqlite::Connection::open(folder.path(".stepbox/stepbox.db")).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    play_here("newer_database", &folder);
}

#[test]
fn a_locked_database_gets_a_clear_error() {
    let folder = with_instance();
    let database = rusqlite::Connection::open(folder.path(".stepbox/stepbox.db")).unwrap();
    database.execute_batch("BEGIN EXCLUSIVE").unwrap();
    play_here("locked_database", &folder);
}

#[test]
fn texts_from_outside_cannot_steer_the_terminal() {
    play_twice("sly_texts", || {
        let folder = with_instance();
        folder.write("sly.csv", "sku,name\n\"\u{1b}[2Jcleared\"\n");
        folder
    });
}

#[test]
fn the_policy_file_limits_what_jobs_use() {
    let folder = with_connector();
    folder.write("connector/connector.yaml", ASKS_FOR_MUCH);
    play_here("quotas", &folder);
}

#[test]
fn whoever_changes_something_stands_in_the_audit_trail() {
    play_twice("audit", || signed_in(with_connector()));
}

#[test]
fn signatures_are_asked_for_where_the_policy_says_so() {
    play_twice("signatures", || {
        let folder = with_connector();
        for (name, key) in [("acme", Key::new()), ("bolt", Key::new())] {
            folder.write(&format!("{name}.pub"), key.public());
            for component in ["normalise", "notify"] {
                let path = folder.path(&format!("csv-notify/steps/{component}.wasm"));
                let signature = key.sign(&std::fs::read(path).expect("a component"));
                folder.write(&format!("{name}/{component}.wasm.minisig"), signature);
            }
        }
        folder.run("stepbox connectors add csv-notify");
        folder
    });
}

#[test]
fn components_come_in_within_their_quota() {
    play_here("component_quotas", &with_connector());
}

#[test]
fn executions_are_published_and_run_by_a_worker() {
    play_here("queue", &with_instance());
}

#[test]
fn the_store_is_checked_and_brought_up_to_date() {
    play_here("store", &with_products());
}

#[test]
fn a_database_is_used_once_it_is_up_to_date() {
    let folder = with_products();
    let url = Server::shared().database().expect("a database");
    folder.write("url", &url);
    play_here("database", &folder);
}

#[test]
fn the_policy_file_opens_addresses() {
    play_here("policy", &with_connector());
}
