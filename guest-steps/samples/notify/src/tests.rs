use stepbox_step::http::HttpError;
use stepbox_step::testing::{Answer, Host, Value, recorded, run};

use super::*;

const URL: &str = "https://user:secret@hooks.example.com/exported?x=1";

/// Runs the tasklet after an export to `/srv/out/products.csv`.
fn notified(answer: Result<Answer, HttpError>, parameters: Value) -> Result<Exit, StepError> {
    Host::new()
        .context(EXPORTED_FILE, json!("/srv/out/products.csv"))
        .http(move |_| answer.clone())
        .install();
    run::<Notify>(parameters)
}

#[test]
fn posts_the_directory_as_a_form() {
    assert_eq!(notified(Ok(Answer::status(204)), json!({ "urlToNotify": URL })), Ok(Exit::Completed));

    let recorded = recorded();
    let [request] = recorded.requests.as_slice() else { panic!("{:?}", recorded.requests) };
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", URL));
    assert_eq!(request.headers, [("content-type".into(), "application/x-www-form-urlencoded".into())]);
    assert_eq!(request.body, b"directory=%2Fsrv%2Fout");
    assert_eq!(recorded.summary["notified"], "yes");
    assert_eq!(recorded.errors, [""; 0]);
}

#[test]
fn a_failure_is_told_and_fails_the_step() {
    let redirect = "`hooks.example.com` answered the notification of `/srv/out` with status 302; ";
    check(Ok(Answer::status(302)), redirect);
    let down = "`hooks.example.com` answered the notification of `/srv/out` with status 500; ";
    check(Ok(Answer::status(500)), down);
    let refused = "`hooks.example.com` was not notified of `/srv/out`: refused: no grant; ";
    check(Err(HttpError::Refused("no grant".into())), refused);

    fn check(answer: Result<Answer, HttpError>, told: &str) {
        let failure = notified(answer.clone(), json!({ "urlToNotify": URL })).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retryable), ("notification-failed", true));
        assert_eq!(failure.message, format!("{told}{NEXT}"));
        assert_told(told);

        let tolerant = json!({ "urlToNotify": URL, "notifyFailureIsError": false });
        assert_eq!(notified(answer, tolerant), Ok(Exit::Completed));
        assert_told(told);
    }

    fn assert_told(told: &str) {
        let recorded = recorded();
        assert_eq!(recorded.summary["notified"], "no");
        assert_eq!(recorded.errors, [format!("{told}{NEXT}")]);
    }
}

#[test]
fn falls_back_to_the_storage_parameter() {
    Host::new().http(|_| Ok(Answer::status(200))).install();
    let storage = json!({ "type": "local", "file_path": "/tmp/é x/a.csv" });
    run::<Notify>(json!({ "urlToNotify": URL, "storage": storage })).unwrap();
    assert_eq!(recorded().requests[0].body, b"directory=%2Ftmp%2F%C3%A9+x");

    let nowhere = run::<Notify>(json!({ "urlToNotify": URL })).unwrap_err();
    assert_eq!(nowhere.code, "no-exported-file");
}

#[test]
fn finds_the_folder_of_a_file() {
    for (file, directory) in [
        ("/srv/out/a.csv", "/srv/out"),
        ("/a.csv", "/"),
        ("a.csv", "."),
        ("out/a.csv", "out"),
        ("s3://bucket/out/a.csv", "s3://bucket/out"),
    ] {
        assert_eq!(directory_of(file), directory);
    }
}

#[test]
fn names_the_host_and_no_secret() {
    for (url, host) in [
        (URL, "hooks.example.com"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("https://example.com?x", "example.com"),
        ("nonsense", "nonsense"),
    ] {
        assert_eq!(host_of(url), host);
    }
}
