//! The server of a command: which one it is, and with which token.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use stepbox::batch::name::TenantId;
use stepbox_client::{Client, Token};

use crate::args::Noun;
use crate::args::policy::Policy;
use crate::error::CliError;
use crate::servers::{Servers, SignedIn};

/// The variable with a token, for programs. A token is never an argument: all users of a machine see those.
pub(crate) const TOKEN: &str = "STEPBOX_TOKEN";

/// The most bytes of a file with a token.
const TOKEN_BYTES_MAX: u64 = 4096;

/// The server of a command, as its arguments name it.
#[derive(Debug)]
pub(crate) struct ServerArgs {
    /// Its address.
    pub(crate) address: String,
    /// A file with the token.
    pub(crate) token_file: Option<PathBuf>,
    /// Whether the token may travel without TLS.
    pub(crate) allows_plain_http: bool,
    /// The tenant, if the command names one.
    pub(crate) tenant: Option<TenantId>,
}

impl ServerArgs {
    /// A client with the token of the command, or else with that of the last `stepbox login`; and the tenant.
    pub(crate) fn client(self) -> Result<(Client, TenantId), CliError> {
        let Self { address, token_file, allows_plain_http, tenant } = self;
        // The address in one form, as `stepbox login` keeps it.
        let server = Client::builder(&address).build()?.server().to_owned();
        let signed_in = Servers::read()?.of(&server)?;
        let (kept, kept_tenant) = match signed_in {
            Some(SignedIn { token, tenant }) => (Some(token), tenant),
            None => (None, None),
        };
        let token = match given(token_file.as_deref())? {
            Some(token) => token,
            None => kept.ok_or_else(|| CliError::NotSignedIn { server: server.clone() })?,
        };
        let client = client(&server, token, allows_plain_http)?;
        Ok((client, tenant.or(kept_tenant).unwrap_or_default()))
    }
}

/// A client of a server.
pub(crate) fn client(address: &str, token: Token, allows_plain_http: bool) -> Result<Client, CliError> {
    let builder = Client::builder(address).token(token);
    let builder = if allows_plain_http { builder.allow_plain_http() } else { builder };
    Ok(builder.build()?)
}

/// The token that the command names, in a file or in the environment.
fn given(token_file: Option<&Path>) -> Result<Option<Token>, CliError> {
    if let Some(path) = token_file {
        let mut text = String::new();
        let file = File::open(path).map_err(CliError::unreadable(path))?;
        file.take(TOKEN_BYTES_MAX).read_to_string(&mut text).map_err(CliError::unreadable(path))?;
        return Ok(Some(Token::new(&text)?));
    }
    match std::env::var_os(TOKEN).filter(|text| !text.is_empty()) {
        Some(text) => Ok(Some(Token::new(&text.to_string_lossy())?)),
        None => Ok(None),
    }
}

/// Refuses commands and options of this machine together with a server.
pub(crate) fn refuse_local(noun: &Noun) -> Result<(), CliError> {
    let of_machine = match noun {
        Noun::Serve(_) => Some("serve"),
        Noun::Worker(_) => Some("worker"),
        Noun::Store(_) => Some("store"),
        Noun::Policy(Policy::Check(_)) => Some("policy check"),
        _ => None,
    };
    if let Some(command) = of_machine {
        return Err(CliError::LocalCommand { command });
    }
    let is_given = |option: &str| std::env::args_os().any(|argument| is_option(&argument, option));
    match ["--data-dir", "--database-url", "--user"].into_iter().find(|option| is_given(option)) {
        Some(option) => Err(CliError::LocalOption { option }),
        None => Ok(()),
    }
}

/// Whether an argument is an option, with its value or before it.
fn is_option(argument: &OsString, option: &str) -> bool {
    let argument = argument.to_string_lossy();
    argument.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Reads a token from the terminal, where it is not shown, or from standard input.
pub(crate) async fn ask_for_token(server: &str) -> Result<Token, CliError> {
    let text = crate::terminal::hidden(&format!("token for {server}:")).await?;
    match text {
        Some(text) => Ok(Token::new(&text)?),
        None => {
            let mut text = String::new();
            let read = io::stdin().take(TOKEN_BYTES_MAX).read_to_string(&mut text);
            read.map_err(CliError::unreadable(Path::new("-")))?;
            Ok(Token::new(&text)?)
        }
    }
}
