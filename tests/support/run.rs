//! A run of these tests leaves nothing behind: see `guard.rs`.

use std::io::{self, BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stepbox_test_postgres::Server;
use stepbox_tests::guard::{mark, marked, run_folder};

use crate::cli::Folder;
use crate::support::PATIENCE;

#[test]
fn nothing_is_left_of_a_run_that_is_killed() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "support::run::starts_a_lot_and_waits", "--ignored", "--nocapture"]);
    let mut killed = mark(&mut command).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(killed.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told: Vec<_> = lines
        .filter_map(|line| line.split_once("there is ").map(|(_, what)| what.to_owned()))
        .take(4)
        .collect();
    let [folder, address, postgres, server] = &told[..] else { panic!("it ended too soon: {told:?}") };
    let (folder, postgres) = (Path::new(folder), Path::new(postgres));
    let left = || {
        let mut left = marked(folder);
        left.extend([folder, postgres].iter().filter(|at| at.exists()).map(|at| at.display().to_string()));
        let answers = |address: &&String| TcpStream::connect(address.as_str()).is_ok();
        left.extend([address, server].into_iter().filter(answers).cloned());
        left
    };
    // The shell, its child, the worker, the two folders and the two addresses.
    assert!(left().len() >= 7, "{:?}", left());
    killed.kill().unwrap();
    killed.wait().unwrap();
    let began_at = Instant::now();
    while !left().is_empty() {
        assert!(began_at.elapsed() < PATIENCE, "{:?} are left", left());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "what the test above starts as a process of its own"]
#[expect(clippy::zombie_processes, reason = "what is left behind is what the test above looks for")]
fn starts_a_lot_and_waits() {
    let folder = Folder::new();
    let _sleeping = folder.shell("sleep 600 & exec sleep 600").spawn().unwrap();
    let mut worker = folder.shell("exec stepbox worker --listen 127.0.0.1:0");
    let mut worker = worker.stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(worker.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = said.filter_map(|line| line.split_once("http://").map(|(_, at)| at.to_owned())).next();
    let server = Server::shared();
    let postgres = server.data();
    let told = [
        run_folder().display().to_string(),
        address.expect("it listens"),
        postgres.parent().expect("a folder of its own").display().to_string(),
        server.address(),
    ];
    for what in told {
        // The harness captures other output.
        io::Write::write_all(&mut io::stdout(), format!("\nthere is {what}\n").as_bytes()).unwrap();
    }
    std::thread::park_timeout(Duration::from_secs(600));
}
