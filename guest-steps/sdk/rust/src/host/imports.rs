//! The imports of a component: thin conversions around the generated bindings.

use crate::files::{Entry, FileError, Kind, Mode};
use crate::http::{HttpError, Request};
use crate::log::Level;
use crate::raw::{execution, files, http, log};

pub(crate) use execution::{
    add_error, add_warning, context_get, context_put, increment_processed_items, increment_summary,
    is_stopping, parameter, parameters, save, set_summary, set_total_items,
};

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Error => log::Level::Error,
        Level::Warning => log::Level::Warning,
        Level::Info => log::Level::Info,
        Level::Debug => log::Level::Debug,
    };
    log::log(level, message);
}

pub(crate) struct FileReader(files::Reader);

impl FileReader {
    pub(crate) fn open(path: &str) -> Result<FileReader, FileError> {
        Ok(FileReader(files::open_reader(path)?))
    }

    pub(crate) fn read(&mut self, bytes_max: u32) -> Result<Vec<u8>, FileError> {
        Ok(self.0.read(bytes_max)?)
    }

    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), FileError> {
        Ok(self.0.seek(offset)?)
    }
}

pub(crate) struct FileWriter(files::Writer);

impl FileWriter {
    pub(crate) fn open(path: &str, mode: Mode) -> Result<FileWriter, FileError> {
        let mode = match mode {
            Mode::CreateNew => files::Mode::CreateNew,
            Mode::Replace => files::Mode::Replace,
            Mode::Append => files::Mode::Append,
        };
        Ok(FileWriter(files::open_writer(path, mode)?))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        Ok(self.0.write(bytes)?)
    }

    pub(crate) fn sync(&mut self) -> Result<(), FileError> {
        Ok(self.0.sync()?)
    }
}

pub(crate) fn list(path: &str) -> Result<Vec<Entry>, FileError> {
    Ok(files::list(path)?.into_iter().map(Entry::from).collect())
}

pub(crate) fn stat(path: &str) -> Result<Entry, FileError> {
    Ok(files::stat(path)?.into())
}

pub(crate) fn create_folder(path: &str) -> Result<(), FileError> {
    Ok(files::create_folder(path)?)
}

pub(crate) fn rename(from: &str, to: &str) -> Result<(), FileError> {
    Ok(files::rename(from, to)?)
}

pub(crate) fn remove(path: &str) -> Result<(), FileError> {
    Ok(files::remove(path)?)
}

/// The contract's `files` cannot shorten a file, so this uses `std::fs`, which reaches the same folders.
pub(crate) fn truncate(path: &str, bytes: u64) -> Result<(), FileError> {
    let file = std::fs::OpenOptions::new().write(true).open(format!("/{path}"));
    file.and_then(|file| file.set_len(bytes)).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => FileError::NotFound,
        std::io::ErrorKind::PermissionDenied => FileError::Refused(error.to_string()),
        _ => FileError::Failed(error.to_string()),
    })
}

pub(crate) struct Exchange(http::Exchange);

impl Exchange {
    pub(crate) fn start(request: &Request) -> Result<Exchange, HttpError> {
        Ok(Exchange(http::Exchange::start(&request.into())?))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        Ok(self.0.write(bytes)?)
    }

    pub(crate) fn finish(self) -> Result<Response, HttpError> {
        Ok(Response(self.0.finish()?))
    }
}

pub(crate) struct Response(http::Response);

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.0.status()
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        self.0.headers().into_iter().map(|header| (header.name, header.value)).collect()
    }

    pub(crate) fn read(&mut self, bytes_max: u32) -> Result<Vec<u8>, HttpError> {
        Ok(self.0.read(bytes_max)?)
    }
}

pub(crate) fn send(request: &Request, body: &[u8]) -> Result<Response, HttpError> {
    Ok(Response(http::send(&request.into(), body)?))
}

impl From<files::FileError> for FileError {
    fn from(error: files::FileError) -> FileError {
        match error {
            files::FileError::Refused(why) => FileError::Refused(why),
            files::FileError::NotFound => FileError::NotFound,
            files::FileError::AlreadyExists => FileError::AlreadyExists,
            files::FileError::WrongKind => FileError::WrongKind,
            files::FileError::BadPath => FileError::BadPath,
            files::FileError::OverLimit(which) => FileError::OverLimit(which),
            files::FileError::Failed(why) => FileError::Failed(why),
        }
    }
}

impl From<files::Entry> for Entry {
    fn from(entry: files::Entry) -> Entry {
        let kind = match entry.kind {
            files::Kind::File => Kind::File,
            files::Kind::Folder => Kind::Folder,
        };
        Entry { name: entry.name, kind, size: entry.size }
    }
}

impl From<http::HttpError> for HttpError {
    fn from(error: http::HttpError) -> HttpError {
        match error {
            http::HttpError::Refused(why) => HttpError::Refused(why),
            http::HttpError::BadRequest(why) => HttpError::BadRequest(why),
            http::HttpError::Unreachable(why) => HttpError::Unreachable(why),
            http::HttpError::TimedOut(phase) => HttpError::TimedOut(phase),
            http::HttpError::OverLimit(which) => HttpError::OverLimit(which),
        }
    }
}

impl From<&Request> for http::Request {
    fn from(request: &Request) -> http::Request {
        let headers = request.headers.iter();
        http::Request {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: headers
                .map(|(name, value)| http::Header { name: name.clone(), value: value.clone() })
                .collect(),
            timeout_ms: request.timeout_ms,
        }
    }
}
