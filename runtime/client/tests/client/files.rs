//! Files on their way, in both directions.

use std::sync::{Arc, Mutex};

use stepbox_client::{ComponentSource, Outgoing};
use tokio::io::AsyncReadExt as _;

use super::server::{Answer, Server, answer, json, open_head};

const COMPONENT: &str = r#"{"digest":"d","name":"n","version":"v","world":"w","size_bytes":1,"uploaded_at":null,
    "signed_by":null,"description":{}}"#;

#[tokio::test]
async fn a_file_is_sent_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    let bytes: Vec<u8> = (0..300_000_u32).map(|index| index as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let server = Server::start([json(COMPONENT)]).await;
    let heard: Arc<Mutex<Vec<u64>>> = Arc::default();
    let hears = heard.clone();
    let file =
        Outgoing::open(&path).await.unwrap().told_to(Arc::new(move |sent| hears.lock().unwrap().push(sent)));
    let component = ComponentSource::File(file);
    server.tenant().upload_component(&component, Some("untrusted comment: a\nb")).await.unwrap();
    let asked = &server.asked()[0];
    assert!(asked.body == bytes, "the bytes of the file");
    assert_eq!(asked.line, "POST /api/v1/tenants/acme/steps");
    assert_eq!(asked.header("content-type"), Some("application/wasm"));
    assert_eq!(asked.header("content-length"), Some("300000"));
    assert_eq!(asked.header("stepbox-signature"), Some("dW50cnVzdGVkIGNvbW1lbnQ6IGEKYg=="));
    let heard = heard.lock().unwrap();
    assert!(heard.len() > 3 && heard.is_sorted() && heard.last() == Some(&300_000), "{heard:?}");
}

#[tokio::test]
async fn a_file_that_shrinks_or_is_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    std::fs::write(&path, vec![7; 200_000]).unwrap();
    let server = Server::start([json(COMPONENT)]).await;
    let file = Outgoing::open(&path).await.unwrap();
    std::fs::write(&path, "short").unwrap();
    let error = server.tenant().upload_component(&ComponentSource::File(file), None).await.unwrap_err();
    assert_eq!(error.code(), "file-unreadable", "{error}");
    assert_eq!(Outgoing::open(folder.path()).await.unwrap_err().code(), "file-unreadable");
    assert_eq!(Outgoing::open(&folder.path().join("b")).await.unwrap_err().code(), "file-unreadable");
}

#[tokio::test]
async fn a_file_is_sent_again_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.csv");
    std::fs::write(&path, "a,b\n").unwrap();
    let server = Server::start([Answer::Bytes(Vec::new()), json(r#"{"id":8,"was_there":false}"#)]).await;
    let items = Outgoing::open(&path).await.unwrap();
    assert_eq!(server.tenant().reimport(7, "import", &items).await.unwrap().id, 8);
    let asked = server.asked();
    assert_eq!(asked[0].line, "POST /api/v1/tenants/acme/executions/7/reimport?step=import");
    assert_eq!((&asked[0].body, &asked[1].body), (&b"a,b\n".to_vec(), &b"a,b\n".to_vec()));
    assert_eq!(asked[0].header("idempotency-key"), asked[1].header("idempotency-key"));
}

#[tokio::test]
async fn a_download_is_whole_or_an_error() {
    let server = Server::start([answer("200 OK", &["Content-Type: text/csv"], "a,b\n1,2\n")]).await;
    let mut text = String::new();
    let mut items = server.tenant().download_rejected_items(7, "import").await.unwrap();
    assert_eq!(items.length(), Some(8));
    items.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "a,b\n1,2\n");
    let half = |headers: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n{headers}\r\n");
        Answer::Bytes([head.as_bytes(), b"a,b"].concat())
    };
    let rows = [
        half("Content-Length: 100\r\n"),
        half("Transfer-Encoding: chunked\r\n"),
        Answer::Stall(open_head("text/csv")),
    ];
    for bad in rows {
        let server = Server::start([bad]).await;
        let mut items = server.tenant().download_rejected_items(7, "import").await.unwrap();
        assert!(items.read_to_string(&mut text).await.is_err());
    }
}
