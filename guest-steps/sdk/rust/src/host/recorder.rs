//! The imports of a native step. Calls of the step are recorded, and the answers come from the test's
//! [`Host`](crate::testing::Host).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use crate::files::{Entry, FileError, Kind, Mode};
use crate::http::{HttpError, Request};
use crate::log::Level;
use crate::testing::{Answer, Recorded, SentRequest, with_host};

pub(crate) fn parameters() -> String {
    with_host(|host| host.parameters.to_string())
}

pub(crate) fn parameter(name: &str) -> Option<String> {
    with_host(|host| host.parameters.get(name).map(ToString::to_string))
}

pub(crate) fn context_get(key: &str) -> Option<String> {
    record(|recorded| recorded.context.get(key).cloned())
}

pub(crate) fn context_put(key: &str, value: &str) -> Result<(), String> {
    if key.is_empty() || key.len() > 128 {
        return Err(format!("a key has 1 to 128 bytes, this one {}", key.len()));
    }
    record(|recorded| recorded.context.insert(key.to_owned(), value.to_owned()));
    Ok(())
}

pub(crate) fn save() -> Result<(), String> {
    record(|recorded| recorded.saves += 1);
    Ok(())
}

pub(crate) fn set_total_items(total: u32) {
    record(|recorded| recorded.total = Some(total));
}

pub(crate) fn increment_processed_items(by: u32) {
    record(|recorded| recorded.processed += by);
}

pub(crate) fn increment_summary(name: &str, by: u32) {
    record(|recorded| {
        let counter = recorded.summary.entry(name.to_owned()).or_default();
        *counter = (counter.parse::<u64>().unwrap_or(0) + u64::from(by)).to_string();
    });
}

pub(crate) fn set_summary(name: &str, value: &str) {
    record(|recorded| recorded.summary.insert(name.to_owned(), value.to_owned()));
}

pub(crate) fn add_warning(reason: &str, item: &str) {
    record(|recorded| recorded.warnings.push((reason.to_owned(), item.to_owned())));
}

pub(crate) fn add_error(message: &str) {
    record(|recorded| recorded.errors.push(message.to_owned()));
}

pub(crate) fn is_stopping() -> bool {
    with_host(|host| match &mut host.stop_checks_left {
        None => false,
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
    })
}

pub(crate) fn log(level: Level, message: &str) {
    record(|recorded| recorded.log.push((level, message.to_owned())));
}

pub(crate) struct FileReader(File);

impl FileReader {
    pub(crate) fn open(path: &str) -> Result<FileReader, FileError> {
        let path = resolve(path)?;
        if path.is_dir() {
            return Err(FileError::WrongKind);
        }
        Ok(FileReader(File::open(path)?))
    }

    pub(crate) fn read(&mut self, bytes_max: u32) -> Result<Vec<u8>, FileError> {
        let mut bytes = vec![0; bytes_max.min(1 << 20) as usize];
        let read = self.0.read(&mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), FileError> {
        self.0.seek(SeekFrom::Start(offset))?;
        Ok(())
    }
}

pub(crate) struct FileWriter(File);

impl FileWriter {
    pub(crate) fn open(path: &str, mode: Mode) -> Result<FileWriter, FileError> {
        let mut options = OpenOptions::new();
        match mode {
            Mode::CreateNew => options.write(true).create_new(true),
            Mode::Replace => options.write(true).create(true).truncate(true),
            Mode::Append => options.append(true).create(true),
        };
        Ok(FileWriter(options.open(resolve(path)?)?))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        Ok(self.0.write_all(bytes)?)
    }

    pub(crate) fn sync(&mut self) -> Result<(), FileError> {
        Ok(self.0.sync_all()?)
    }
}

pub(crate) fn list(path: &str) -> Result<Vec<Entry>, FileError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(resolve(path)?)? {
        entries.push(entry_at(&entry?.path())?);
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

pub(crate) fn stat(path: &str) -> Result<Entry, FileError> {
    entry_at(&resolve(path)?)
}

pub(crate) fn create_folder(path: &str) -> Result<(), FileError> {
    Ok(fs::create_dir(resolve(path)?)?)
}

pub(crate) fn rename(from: &str, to: &str) -> Result<(), FileError> {
    Ok(fs::rename(resolve(from)?, resolve(to)?)?)
}

pub(crate) fn remove(path: &str) -> Result<(), FileError> {
    let path = resolve(path)?;
    let removed = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
    Ok(removed?)
}

pub(crate) fn truncate(path: &str, bytes: u64) -> Result<(), FileError> {
    Ok(OpenOptions::new().write(true).open(resolve(path)?)?.set_len(bytes)?)
}

/// Finds the folder of a path by its name. Links are not checked, because a test's folders are its own.
fn resolve(path: &str) -> Result<PathBuf, FileError> {
    let mut parts = Path::new(path).components();
    let Some(Component::Normal(folder)) = parts.next() else { return Err(outside(path)) };
    let inside = parts.as_path();
    if !inside.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(outside(path));
    }
    let granted = with_host(|host| host.folders.get(&*folder.to_string_lossy()).cloned());
    granted.map(|root| root.join(inside)).ok_or_else(|| outside(path))
}

fn outside(path: &str) -> FileError {
    FileError::Refused(format!("the test grants no folder with `{path}` in it: see `testing::Host::folder`"))
}

fn entry_at(path: &Path) -> Result<Entry, FileError> {
    let metadata = fs::metadata(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(if metadata.is_dir() {
        Entry { name, kind: Kind::Folder, size: 0 }
    } else {
        Entry { name, kind: Kind::File, size: metadata.len() }
    })
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> FileError {
        match error.kind() {
            io::ErrorKind::NotFound => FileError::NotFound,
            io::ErrorKind::AlreadyExists => FileError::AlreadyExists,
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => FileError::WrongKind,
            _ => FileError::Failed(error.to_string()),
        }
    }
}

pub(crate) struct Exchange {
    request: Request,
    body: Vec<u8>,
}

impl Exchange {
    pub(crate) fn start(request: &Request) -> Result<Exchange, HttpError> {
        Ok(Exchange { request: request.clone(), body: Vec::new() })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Response, HttpError> {
        send(&self.request, &self.body)
    }
}

pub(crate) struct Response {
    answer: Answer,
    read: usize,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.answer.status
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        self.answer.headers.clone()
    }

    pub(crate) fn read(&mut self, bytes_max: u32) -> Result<Vec<u8>, HttpError> {
        let rest = &self.answer.body[self.read..];
        let bytes = rest[..rest.len().min(bytes_max as usize)].to_vec();
        self.read += bytes.len();
        Ok(bytes)
    }
}

pub(crate) fn send(request: &Request, body: &[u8]) -> Result<Response, HttpError> {
    let sent = SentRequest {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: request.headers.clone(),
        timeout_ms: request.timeout_ms,
        body: body.to_vec(),
    };
    record(|recorded| recorded.requests.push(sent.clone()));
    let Some(mut responder) = with_host(|host| host.responder.take()) else {
        return Err(HttpError::Refused("the test answers no requests: see `testing::Host::http`".to_owned()));
    };
    let answer = responder(&sent);
    with_host(|host| host.responder = Some(responder));
    Ok(Response { answer: answer?, read: 0 })
}

fn record<T>(note: impl FnOnce(&mut Recorded) -> T) -> T {
    with_host(|host| note(&mut host.recorded))
}
