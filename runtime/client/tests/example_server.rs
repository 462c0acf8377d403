// A server of a few answers, for the example of the crate. It is no part of the client.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

/// Starts the server in a thread, and returns its address.
pub(crate) async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            assert!(head.contains(&"authorization: Bearer sbx_example".to_owned()), "{head:?}");
            let (status, kind, body) = match first.split(' ').nth(1).unwrap_or_default() {
                "/api/v1/tenants/acme/executions?status=FAILED&limit=200" => {
                    ("200 OK", "application/json", r#"{"items":[],"next":null}"#)
                }
                "/api/v1/tenants/acme/instances/my_exprot" => (
                    "404 Not Found",
                    "application/problem+json",
                    r#"{"type":"/errors/not-found","title":"Not found","status":404,"code":"not-found",
                        "detail":"there is no instance `my_exprot`","help":"did you mean `my_export`?"}"#,
                ),
                other => panic!("nobody asks for {other}"),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            (&stream).write_all(answer.as_bytes()).expect("the client reads");
        }
    });
    address
}
