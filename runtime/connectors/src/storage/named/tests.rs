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
        "the option `to` names the storage `exchnage`, which does not exist; did you mean `exchange`? the \
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

#[test]
fn storages_that_lie_in_each_other_are_known() {
    let s3 = |endpoint: Option<&str>, bucket: &str, prefix: &str| {
        let settings = S3Settings {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            region: "any".to_owned(),
            endpoint: endpoint.map(str::to_owned),
            access_key_id: "key".to_owned().into(),
            secret_access_key: "key".to_owned().into(),
        };
        NamedStorage::s3("one", &settings).unwrap()
    };
    let check = |one: &NamedStorage, other: &NamedStorage, expected: bool| {
        assert_eq!(one.overlaps(other).unwrap(), expected, "{one:?} {other:?}");
        assert_eq!(other.overlaps(one).unwrap(), expected, "{other:?} {one:?}");
        let mut storages = Storages::default();
        storages.add(one.clone());
        let told = storages.check_apart(other).map_err(|error| error.code());
        assert_eq!(told, if expected { Err("storage-overlaps") } else { Ok(()) });
    };
    let shared = s3(Some("http://127.0.0.1:9000"), "acme", "sh/");
    check(&shared, &s3(Some("http://127.0.0.1:9000"), "acme", ""), true);
    check(&shared, &s3(Some("http://localhost:9000/"), "acme", "sh"), true);
    check(&shared, &s3(Some("http://[::1]:9000"), "acme", "sh/x/"), true);
    check(&shared, &s3(Some("http://127.0.0.1:9000"), "acme", "share/"), false);
    check(&shared, &s3(Some("http://127.0.0.1:9000"), "acme", "s/"), false);
    check(&shared, &s3(Some("http://127.0.0.1:9000"), "other", ""), false);
    check(&shared, &s3(Some("http://127.0.0.1:9001"), "acme", ""), false);
    check(&s3(None, "acme", "a/"), &s3(Some("https://s3.eu-central-1.amazonaws.com"), "acme", ""), true);
    check(
        &s3(Some("https://S3.example."), "acme", ""),
        &s3(Some("https://s3.example:443"), "acme", "x"),
        true,
    );

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
    let local = |path: &str| NamedStorage::local("one", folder.path().join(path)).unwrap();
    check(&local("a"), &local("a/b"), true);
    check(&local("a"), &local("a/b/../../a"), true);
    check(&local("a/missing"), &local("a"), true);
    check(&local("a/b"), &local("c"), false);
    check(&local("a"), &shared, false);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("a/b", folder.path().join("link")).unwrap();
        check(&local("link"), &local("a"), true);
    }
}
