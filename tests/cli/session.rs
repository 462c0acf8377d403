//! Plays a recorded session with the command line, and compares the output.
//!
//! A session is a file of commands and their outputs:
//!
//! ```text
//! # A line about the next command.
//! $ stepbox run my_exprot
//! ! error: there is no instance `my_exprot`     standard error
//! ! …
//! text of standard output
//! ? 6                                           the exit code, unless it is 0
//! ```
//!
//! To add a row, write a `$` line at its place and run the tests with `SNAPSHOTS=overwrite`. Then read the recorded
//! output. Moments, durations, digests, sizes of components, workers and the session's folder are recorded as
//! `[TIME]` and the like. Ids are real, since each session has a store of its own.
//!
//! `twice.rs` plays a session on a data folder and then, in another folder, through a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use snapbox::{Assert, Data, Redactions};
use tempfile::TempDir;

use stepbox_tests::guard::tempdir_as_long_as;

use crate::support::mark;

/// How long the path of a session's folder is. Tables show the path, and are recorded.
const PATH_BYTES: usize = 96;

/// The folder that a session's commands run in.
pub(crate) struct Folder {
    folder: TempDir,
    /// `stepbox` and helpers of the sessions.
    programs: PathBuf,
}

impl Folder {
    /// An empty folder for one session.
    pub(crate) fn new() -> Self {
        let folder = tempdir_as_long_as(PATH_BYTES).expect("a temporary folder");
        let programs = folder.path().join("programs");
        let new = Self { folder, programs };
        // Root may write everywhere. Without its capabilities, root has the rights of any other user.
        let unprivileged = "#!/bin/sh\n\
            [ \"$(id -u)\" = 0 ] || exec \"$@\"\n\
            exec setpriv --bounding-set=-all --inh-caps=-all -- \"$@\"\n";
        // Runs a command until it has written some words to standard error, and then ends it.
        let until = "#!/bin/sh\n\
            words=$1; shift\n\
            mkfifo said\n\
            \"$@\" 2>said &\n\
            while IFS= read -r line; do\n\
                printf '%s\\n' \"$line\" >&2\n\
                case $line in *\"$words\"*) kill -TERM $! ;; esac\n\
            done <said\n\
            rm said\n\
            wait $!\n";
        for (name, script) in [("unprivileged", unprivileged), ("run-until", until)] {
            let script = new.write(&format!("programs/{name}"), script);
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&script, executable).expect("a script");
        }
        new
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    /// A command line for a shell in the folder.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let programs = [self.programs.clone(), stepbox_folder()];
        let known = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&known)));
        let mut shell = Command::new("sh");
        mark(shell.args(["-c", line])).current_dir(self.folder.path()).stdin(Stdio::null());
        shell
            .env("PATH", path.expect("no folder's name has a colon"))
            .env("LC_ALL", "C.UTF-8")
            .env("STEPBOX_USER", "julia")
            // Without a login at a registry or a server, and without proxies.
            .env("DOCKER_CONFIG", self.folder.path().join("docker"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"));
        let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
        for variable in
            ["STEPBOX_DATA_DIR", "STEPBOX_DATABASE_URL", "STEPBOX_TENANT", "STEPBOX_SERVER", "STEPBOX_TOKEN"]
                .into_iter()
                .chain(["COLUMNS", "CLICOLOR_FORCE"])
                .chain(proxies)
        {
            shell.env_remove(variable);
        }
        shell
    }

    /// Runs a command line that must succeed.
    pub(crate) fn run(&self, line: &str) {
        let output = self.shell(line).output().expect("`sh` runs");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Plays the session of that name in the folder.
    pub(super) fn play(&self, name: &str) {
        let played: String =
            recorded(name).iter().map(|command| command.with(&told(self.shell(&command.line)))).collect();
        self.assert_action().eq(played.trim_start().to_owned(), Data::read_from(&path(name), None));
    }

    /// Compares outputs as recorded sessions have them.
    pub(super) fn assert(&self) -> Assert {
        Assert::new().normalize_paths(false).redact_with(self.redactions())
    }

    /// The same; records the session anew when that is asked for.
    fn assert_action(&self) -> Assert {
        self.assert().action_env("SNAPSHOTS")
    }

    fn redactions(&self) -> Redactions {
        let regex = |text: &str| regex::Regex::new(text).expect("the pattern is right");
        let mut redactions = Redactions::new();
        let folder = self.folder.path().to_str().expect("the temporary folder's name is UTF-8").to_owned();
        redactions.insert("[FOLDER]", folder).expect("a good name");
        let patterns = [
            ("[TIME]", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
            ("[DIGEST]", r"\b[0-9a-f]{64}\b"),
            ("[TOKEN]", r"\bsbx_[0-9A-Za-z]{49}\b"),
            ("[SECRET]", r"\b[0-9A-Za-z]{43}\b"),
            ("[EXPIRY_MS]", r#""expires_at_ms":(?<redacted>\d+)"#),
            ("[SHORT_DIGEST]", r"\b[0-9a-f]{12}\b"),
            ("[DATABASE]", r#"PostgreSQL at [^\s"]+"#),
            ("[SERVER]", r#"(?m)(^server +|"server": ")(?<redacted>\d+[^"\n]+)"#),
            ("[REGISTRY]", r"127\.0\.0\.1:\d{5}"),
            ("[KEY]", r"\bRW[0-9A-Za-z+/]{54}"),
            ("[SIZE]", r#"(?m)(^size +|  |"size_bytes": |pulled )(?<redacted>[0-9.]+ [KM]iB|\d{5,})(,?)$"#),
            ("[WORKER]", r#"[^\s"]+:\d+:[0-9a-f]{11}"#),
            ("[BEFORE_MS]", r#""before_ms":(?<redacted>\d+)"#),
            ("[CPU_US]", r#""cpu_us": (?<redacted>\d+),"#),
            ("[CPU]", r"[a-z](?<redacted> +(\d+ ms|\d+\.\d s))  "),
            ("[DURATION]", r"(?m)(after |  )(?<redacted>(\d+ ms|\d+\.\d s))(:|\.|$)"),
        ];
        for (name, pattern) in patterns {
            redactions.insert(name, regex(pattern)).expect("a good name");
        }
        redactions
    }
}

/// A command of a session, with its recorded output.
pub(super) struct Recorded {
    /// The `#` lines above it.
    about: String,
    pub(super) line: String,
    pub(super) answer: String,
}

impl Recorded {
    /// The command with an output.
    pub(super) fn with(&self, answer: &str) -> String {
        let Self { about, line, .. } = self;
        format!("\n{about}$ {line}\n{answer}")
    }
}

/// The commands of the session of that name.
pub(super) fn recorded(name: &str) -> Vec<Recorded> {
    let path = path(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<_> = text.lines().collect();
    let commands: Vec<_> = (0..lines.len()).filter(|at| lines[*at].starts_with("$ ")).collect();
    let about_from =
        |at: usize| (0..at).rev().take_while(|at| lines[*at].starts_with("# ")).last().unwrap_or(at);
    let ends = commands.iter().skip(1).map(|at| about_from(*at)).chain([lines.len()]);
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let command = |(at, end): (&usize, usize)| Recorded {
        about: joined(&lines[about_from(*at)..*at]),
        line: lines[*at][2..].to_owned(),
        answer: joined(lines[at + 1..end].strip_suffix(&[""]).unwrap_or(&lines[at + 1..end])),
    };
    commands.iter().zip(ends).map(command).collect()
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cli").join(name).with_extension("console")
}

/// Runs a command line, and returns its whole output.
pub(super) fn told(mut command: Command) -> String {
    let output = command.output().expect("`sh` runs");
    let lines = |bytes: &[u8], prefix: &str| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().map(|line| format!("{prefix}{line}").trim_end().to_owned() + "\n").collect::<String>()
    };
    let exit_code = match output.status.code() {
        Some(0) => String::new(),
        Some(code) => format!("? {code}\n"),
        None => "? killed\n".to_owned(),
    };
    lines(&output.stderr, "! ") + &lines(&output.stdout, "") + &exit_code
}

/// The folder with the `stepbox` that was built beside these tests.
fn stepbox_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.ancestors().nth(2).expect("tests are built below `target`");
    let stepbox = folder.join("stepbox");
    assert!(stepbox.is_file(), "{} is not built; `cargo xtask test` builds it first", stepbox.display());
    folder.to_owned()
}
