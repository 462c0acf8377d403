//! The files and folders that a wall refuses, for each path and each kind of access. The paths are rows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Wall;
use crate::ConnectorError;
use crate::folders::Folders;
use crate::location::Location;
use crate::reach::Reach;
use crate::storage::{NamedStorage, Storages};
use crate::testing::step;

/// A folder `job` for jobs, the installation's folder `data`, and a secret of the installation in `keys`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for folder in ["job/sub", "data/executions/1/rejected", "data/components", "keys", "in"] {
            fs::create_dir_all(place.path(folder)).unwrap();
        }
        for file in ["policy.yaml", "stepbox.db", "executions/1/log.jsonl", "executions/1/rejected/s.csv"] {
            fs::write(place.path("data").join(file), "own").unwrap();
        }
        fs::write(place.path("keys/token"), "own").unwrap();
        fs::write(place.path("in/a.csv"), "job's").unwrap();
        place
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn wall(&self) -> Arc<Wall> {
        let wall = Wall::default().around_folder(&self.path("data")).unwrap();
        Arc::new(wall.around_file(self.path("keys/token")).around_file(self.path("keys/missing")))
    }

    /// The folders of a user's own machine; of a tenant whose folder contains everything; and of a tenant who also has
    /// the data folder itself.
    fn doors(&self) -> Vec<Folders> {
        let doors = [
            Folders::anywhere(self.path("")),
            Folders::beneath([self.path("")]),
            Folders::beneath([self.path(""), self.path("data")]),
        ];
        doors.map(|door| door.behind(self.wall())).into()
    }

    #[cfg(unix)]
    fn link(&self, name: &str, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.path(name)).unwrap();
    }
}

fn told<T>(outcome: Result<T, ConnectorError>) -> &'static str {
    outcome.map_or_else(|error| error.code(), |_| "opened")
}

fn granted(folders: &Folders, path: &str) -> String {
    match folders.open_folder(path) {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.code.into_owned(),
    }
}

const OWN: &str = "path-in-data-folder";

fn check_input(place: &Place, path: &str, expected: &str) {
    for folders in place.doors() {
        assert_eq!(told(folders.open_input(path)), expected, "{path} of {folders:?}");
        let absolute = place.path(path);
        assert_eq!(told(folders.open_input(absolute.to_str().unwrap())), expected, "{absolute:?}");
    }
}

fn check_output(place: &Place, path: &str, expected: &str) {
    for folders in place.doors() {
        assert_eq!(told(folders.place_output(path)), expected, "{path} of {folders:?}");
        let absolute = place.path(path);
        assert_eq!(told(folders.place_output(absolute.to_str().unwrap())), expected, "{absolute:?}");
    }
}

#[cfg(unix)]
#[test]
fn no_input_is_the_installations_however_it_is_reached() {
    let place = Place::new();
    place.link("job/data", "../data");
    place.link("job/db", "../data/stepbox.db");
    place.link("job/twice", "db");
    place.link("job/elsewhere", "data/../in/a.csv");
    place.link("in/token", "../keys/token");
    fs::hard_link(place.path("data/stepbox.db"), place.path("job/hard.db")).unwrap();
    fs::hard_link(place.path("data/executions/1/rejected/s.csv"), place.path("job/hard.csv")).unwrap();
    fs::hard_link(place.path("keys/token"), place.path("job/hard.token")).unwrap();
    fs::hard_link(place.path("in/a.csv"), place.path("job/a.csv")).unwrap();
    check_input(&place, "data/policy.yaml", OWN);
    check_input(&place, "data/executions/1/log.jsonl", OWN);
    check_input(&place, "job/../data/policy.yaml", OWN);
    check_input(&place, "job/data/stepbox.db", OWN);
    check_input(&place, "job/db", OWN);
    check_input(&place, "job/twice", OWN);
    check_input(&place, "in/token", OWN);
    check_input(&place, "keys/token", OWN);
    check_input(&place, "job/hard.db", OWN);
    check_input(&place, "job/hard.csv", OWN);
    check_input(&place, "job/hard.token", OWN);
    // The error does not say whether the file exists.
    check_input(&place, "data/nothing", OWN);
    check_input(&place, "job/elsewhere", "opened");
    check_input(&place, "in/a.csv", "opened");
    check_input(&place, "job/a.csv", "opened");
    check_input(&place, "keys/missing", "file-not-found");
}

#[cfg(unix)]
#[test]
fn no_output_becomes_the_installations_and_makes_no_folder_there() {
    let place = Place::new();
    place.link("job/data", "../data");
    place.link("job/compiled", "../data/components");
    fs::hard_link(place.path("data/policy.yaml"), place.path("job/hard.yaml")).unwrap();
    check_output(&place, "data/policy.yaml", OWN);
    check_output(&place, "data/new/deep/t.csv", OWN);
    check_output(&place, "data/components/t.csv", OWN);
    check_output(&place, "job/data/stepbox.db", OWN);
    check_output(&place, "job/data/new/t.csv", OWN);
    check_output(&place, "job/compiled/t.csv", OWN);
    check_output(&place, "job/sub/../../data/t.csv", OWN);
    check_output(&place, "job/hard.yaml", OWN);
    check_output(&place, "keys/token", OWN);
    check_output(&place, "job/new/t.csv", "opened");
    check_output(&place, "keys/other", "opened");
    assert!(!place.path("data/new").exists(), "nothing was made behind the wall");
}

/// The folder is checked again when the output is complete, not only at its beginning.
#[test]
fn an_output_whose_folder_was_moved_there_stays_unfinished() {
    let place = Place::new();
    let folders = Folders::anywhere(place.path("")).behind(place.wall());
    let output = folders.place_output("job/sub/policy.yaml").unwrap();
    output.create(".part").unwrap();
    fs::rename(place.path("job/sub"), place.path("data/sub")).unwrap();
    assert_eq!(told(output.rename(".part", "policy.yaml")), OWN);
    assert!(!place.path("data/sub/policy.yaml").exists());
}

/// An unfinished output is continued only if it is not a file of the installation.
#[test]
fn an_unfinished_output_that_became_a_name_of_the_store_is_left_alone() {
    let place = Place::new();
    let output = Folders::anywhere(place.path("")).behind(place.wall()).place_output("job/t.csv").unwrap();
    fs::hard_link(place.path("data/stepbox.db"), place.path("job/.t.part")).unwrap();
    assert_eq!(told(output.reopen(".t.part", 0)), OWN);
    assert_eq!(told(output.open_part(".t.part")), OWN);
    assert_eq!(fs::read_to_string(place.path("data/stepbox.db")).unwrap(), "own");
    // A new output takes the name away, and leaves the file unchanged.
    output.create(".t.part").unwrap();
    assert_eq!(fs::read_to_string(place.path("data/stepbox.db")).unwrap(), "own");
}

#[cfg(unix)]
#[test]
fn no_granted_folder_is_or_lies_in_or_holds_the_installations() {
    let place = Place::new();
    place.link("job/data", "../data");
    place.link("job/up", "..");
    for folders in place.doors() {
        let check = |path: &str, expected: &str| assert_eq!(granted(&folders, path), expected, "{path}");
        check("data", OWN);
        check("data/executions/1", OWN);
        check("job/data/components", OWN);
        check("job/../data", OWN);
        check(".", OWN);
        check("job/up", OWN);
        // The folder contains a secret.
        check("keys", OWN);
        check("job", "opened");
        check("in", "opened");
    }
    assert_eq!(granted(&place.doors()[0], "/"), OWN);
}

#[test]
fn a_storage_that_holds_the_data_folder_shows_nothing_of_it() {
    let place = Place::new();
    let mut storages = Storages::default();
    storages.add(NamedStorage::local("all", place.path("")).unwrap());
    storages.add(NamedStorage::local("own", place.path("data")).unwrap());
    let folders = Folders::anywhere("/").behind(place.wall());
    let reach = Reach::from(folders).with_storages(storages);
    for (storage, path, expected) in [
        ("all", "data/policy.yaml", OWN),
        ("own", "policy.yaml", OWN),
        ("own", "executions/1/log.jsonl", OWN),
        ("all", "in/a.csv", "opened"),
    ] {
        let value = serde_json::json!({ "type": "local", "storage": storage, "file_path": path });
        let location = Location::from_value("from", &value).unwrap();
        let opened = reach.files(&location).unwrap().open_input(path, &step());
        assert_eq!(told(opened), expected, "{value}");
    }
}

/// A link in the installation's data folder that leads elsewhere is protected at both ends.
#[cfg(unix)]
#[test]
fn a_folder_behind_a_link_is_the_installations_as_well() {
    let place = Place::new();
    fs::create_dir(place.path("cache")).unwrap();
    fs::write(place.path("cache/code"), "own").unwrap();
    place.link("data/compiled", "../cache");
    let wall = Wall::default().around_folder(&place.path("data")).unwrap();
    let wall = Arc::new(wall.around_folder(&place.path("data/compiled")).unwrap());
    let folders = Folders::anywhere(place.path("")).behind(wall);
    assert_eq!(told(folders.open_input("cache/code")), OWN);
    assert_eq!(told(folders.place_output("cache/code")), OWN);
    assert_eq!(granted(&folders, "cache"), OWN);
}
