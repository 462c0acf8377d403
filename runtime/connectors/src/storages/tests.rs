use super::*;

fn settings() -> S3Settings {
    S3Settings {
        bucket: "acme".to_owned(),
        prefix: "exchange/".to_owned(),
        region: "eu-central-1".to_owned(),
        endpoint: None,
        access_key_id: "AKIAEXAMPLE".into(),
        secret_access_key: "s3cr3tkey".into(),
    }
}

#[test]
fn says_what_is_wrong_with_a_storage_and_never_shows_a_key() {
    let check = |name: &str, change: &dyn Fn(&mut S3Settings), expected: &str| {
        let mut settings = settings();
        change(&mut settings);
        let shown = format!("{settings:?}");
        let found = match NamedStorage::s3(name, &settings) {
            Ok(storage) => format!("{storage:?}"),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{found}");
        for text in [found, shown] {
            assert!(!text.contains("s3cr3t") && !text.contains("AKIA"), "{text}");
        }
    };
    check("exchange", &|_| {}, "s3://acme/exchange/");
    check("ex change", &|_| {}, "the storage `ex change` has a name that is not");
    check("", &|_| {}, "the storage `` has a name that is not");
    check("exchange", &|s| s.bucket = "Acme".to_owned(), "has a `bucket` that is not");
    check("exchange", &|s| s.bucket = "a/../b".to_owned(), "has a `bucket` that is not");
    check("exchange", &|s| s.prefix = "a//b".to_owned(), "has a `prefix` that is not");
    check("exchange", &|s| s.prefix = "../b".to_owned(), "has a `prefix` that is not");
    check("exchange", &|s| s.region = String::new(), "has a `region` that is not");
    check("exchange", &|s| s.endpoint = Some("s3.example".to_owned()), "has an `endpoint` that is not");
    check(
        "exchange",
        &|s| s.endpoint = Some("https://s3.example/x".to_owned()),
        "has an `endpoint` that is not",
    );
    check("exchange", &|s| s.endpoint = Some("ftp://s3.example".to_owned()), "has an `endpoint` that is not");
    check("exchange", &|s| s.secret_access_key = "s3cr3t\nkey".into(), "holds other characters than keys do");
}

#[test]
fn finds_storages_by_name_and_type() {
    let mut storages = Storages::default();
    storages.add(NamedStorage::s3("exchange", &settings()).unwrap());
    storages.add(NamedStorage::local("archive", "/srv/archive").unwrap());
    let found = |name: &str, given| match storages.find("to", name, given) {
        Ok(storage) => storage.storage_type().to_owned(),
        Err(error) => format!("{error}; {}", error.help()),
    };
    assert_eq!(found("exchange", "s3"), "s3");
    assert_eq!(found("archive", "local"), "local");
    assert_eq!(
        found("exchnage", "s3"),
        "the option `to` names the storage `exchnage`, which there is not; did you mean `exchange`? the \
         storages are `exchange`, `archive`"
    );
    assert_eq!(
        found("archive", "s3"),
        "the option `to` names the storage `archive` as `s3`, and it is `local`; write `\"type\": \"local\"`"
    );
    storages.add(NamedStorage::local("exchange", "/srv/archive").unwrap());
    let twice = storages.check(true, true).unwrap_err().to_string();
    assert_eq!(twice, "the storage `exchange` is named twice");
    assert!(NamedStorage::local("archive", "archive").is_err());
}
