//! What is sent again, and what is not.

use stepbox_api::request::{CreateInstance, Launch, Restart};

use super::server::{Answer, Server, answer, json, problem};

const PUBLISHED: &str = r#"{"id":7,"was_there":false}"#;

fn not_available() -> Answer {
    problem("503 Service Unavailable", &[], "store-unavailable")
}

/// The connection ends without an answer.
fn nothing() -> Answer {
    Answer::Bytes(Vec::new())
}

#[tokio::test]
async fn looking_is_repeated() {
    let details = r#"{"items":[],"next":null}"#;
    let rows = [
        vec![not_available(), nothing(), json(details)],
        vec![answer("502 Bad Gateway", &["Content-Type: text/html"], "<html>"), json(details)],
        vec![problem("429 Too Many Requests", &["Retry-After: 0"], "rate-limited"), json(details)],
    ];
    for answers in rows {
        let count = answers.len();
        let server = Server::start(answers).await;
        assert!(server.tenant().jobs().all().await.unwrap().is_empty());
        assert_eq!(server.asked().len(), count);
    }
}

#[tokio::test]
async fn not_for_ever() {
    let server = Server::start([not_available()]).await;
    assert_eq!(server.tenant().job("a").await.unwrap_err().code(), "store-unavailable");
    assert_eq!(server.asked().len(), 4);
    for (status, headers, code) in [
        ("429 Too Many Requests", "Retry-After: 3600", "rate-limited"),
        ("429 Too Many Requests", "Retry-After: 0", "queue-full"),
        ("503 Service Unavailable", "Retry-After: 3600", "store-unavailable"),
        ("500 Internal Server Error", "Retry-After: 0", "unexpected"),
    ] {
        let server = Server::start([problem(status, &[headers], code)]).await;
        assert_eq!(server.tenant().job("a").await.unwrap_err().code(), code);
        assert_eq!(server.asked().len(), 1, "{status} {headers} {code}");
    }
}

#[tokio::test]
async fn a_launch_is_repeated_with_the_same_key() {
    let server = Server::start([nothing(), not_available(), json(PUBLISHED)]).await;
    let tenant = server.tenant();
    assert_eq!(tenant.publish("a", &Launch::default()).await.unwrap().id, 7);
    tenant.publish("a", &Launch::default()).await.unwrap();
    tenant.publish_restart(7, &Restart::default()).await.unwrap();
    let keys: Vec<_> =
        server.asked().iter().map(|asked| asked.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!((keys.len(), &keys[0], &keys[0]), (5, &keys[1], &keys[2]));
    assert!(keys[0].len() == 32 && keys[2] != keys[3] && keys[3] != keys[4], "{keys:?}");
    assert_eq!(server.asked()[0].line, "POST /api/v1/tenants/acme/instances/a/launch");
}

#[tokio::test]
async fn what_might_be_done_twice_is_not_repeated() {
    let new = CreateInstance {
        connector: "c".to_owned(),
        job: "j".to_owned(),
        r#type: "t".to_owned(),
        code: "a".to_owned(),
        label: None,
        parameters: serde_json::json!({}),
    };
    for (bad, code) in [(nothing(), "answer-broken-off"), (not_available(), "store-unavailable")] {
        let server = Server::start([bad]).await;
        assert_eq!(server.tenant().create_instance(&new).await.unwrap_err().code(), code);
        assert_eq!(server.asked().len(), 1, "{code}");
    }
    // The server has done nothing, and says when it would.
    let instance = r#"{"code":"a","label":"","connector":"c","job":"j","type":"t","raw_parameters":{},"version":1,"updated_at":"x"}"#;
    let busy = problem("429 Too Many Requests", &["Retry-After: 0"], "rate-limited");
    let server = Server::start([busy, json(instance)]).await;
    server.tenant().create_instance(&new).await.unwrap();
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn what_a_lost_answer_has_removed_is_gone() {
    let gone = || problem("404 Not Found", &[], "not-found");
    let server = Server::start([nothing(), gone()]).await;
    server.tenant().remove_connector("a").await.unwrap();
    // Without a lost answer, it was not there.
    let server = Server::start([gone()]).await;
    assert!(server.tenant().remove_connector("a").await.unwrap_err().is_not_found());
}
