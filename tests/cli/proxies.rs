//! Proxies in the environment.

use serde_json::json;
use stepbox_guest_artifacts::hostile;

use super::session::Folder;
use crate::egress::Trap;

/// Proxies would reach what the policy closes, and would see the content of requests.
#[test]
fn proxies_of_the_environment_are_not_asked() {
    let (proxy, plain, secure) = (Trap::set(), Trap::answering("127.0.0.1:0"), Trap::set());
    let urls = [format!("http://127.0.0.1:{}/", plain.port), format!("https://127.0.0.1:{}/", secure.port)];
    let requests = urls.each_ref().map(|url| json!({ "url": url }));
    let options = json!({ "requests": requests });
    let grants = json!({ "http": urls.each_ref().map(|url| format!("GET {url}")) });
    let folder = Folder::new();
    folder.write(".stepbox/policy.yaml", "network: { loopback: true }\n");
    folder.write(
        "test/connector.yaml",
        format!(
            "connector: test
components: {{ guest: guest.wasm }}
jobs:
  hostile:
    type: test
    steps: [ {{ name: attack, tasklet: {{ guest: {options} }}, grants: {grants} }} ]
"
        ),
    );
    folder.write("test/guest.wasm", std::fs::read(hostile::SPELLS_HOSTS).expect("the guest was built"));
    folder.run("stepbox connectors add test && stepbox instances create test hostile test attack");

    let mut run = folder.shell("stepbox run attack");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        run.env(name, format!("http://127.0.0.1:{}", proxy.port));
    }
    let output = run.env_remove("NO_PROXY").env_remove("no_proxy").output().expect("`sh` runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Through both interfaces.
    assert_eq!((plain.connections(), secure.connections(), proxy.connections()), (2, 2, 0));
}
