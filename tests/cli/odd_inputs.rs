//! Inputs with other content than expected, and the messages about them.

use super::session::Folder;
use super::twice::play_twice;

/// Three steps, each of which reads the output of the one before.
const CHAIN: &str = "\
connector: chain
jobs:
  chain:
    type: test
    steps:
      - { name: one, reader: { csv: { from: in.csv } }, writer: { jsonl: { to: mid.jsonl } } }
      - { name: two, reader: { jsonl: { from: mid.jsonl } }, writer: { csv: { to: out.csv } } }
      - { name: three, reader: { csv: { from: out.csv } }, writer: { jsonl: { to: end.jsonl } } }
  names:
    type: test
    steps:
      - { name: one, reader: { jsonl: { from: mid.jsonl } }, writer: { csv: { to: out.csv } } }
";

#[test]
fn odd_inputs_are_read_or_say_what_they_are() {
    play_twice("odd_inputs", || {
        let folder = Folder::new();
        folder.write("chain/connector.yaml", CHAIN);
        folder.run("stepbox connectors add chain");
        for job in ["chain", "names"] {
            folder.run(&format!("stepbox instances create chain {job} test {job} '{{}}'"));
        }
        let local = |path: &str| format!(r#"{{"type":"local","file_path":"{path}"}}"#);
        let (source, target) = (local("in.csv"), local("out.jsonl"));
        let parameters = format!(r#"{{"storage":{source},"target":{target}}}"#);
        folder.run(&format!("stepbox instances create stepbox csv_import import import '{parameters}'"));
        let parameters = format!(r#"{{"source":{},"storage":{}}}"#, local("in.jsonl"), local("lines.jsonl"));
        folder.run(&format!("stepbox instances create stepbox jsonl_export export lines '{parameters}'"));
        folder
    });
}
