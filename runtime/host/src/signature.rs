//! Signatures of components: detached ones, as `minisign` and `rsign` make them.

use std::path::Path;
use std::{fmt, io};

use minisign_verify::{Error as Refusal, PublicKey, Signature};
use stepbox_batch::inventory::Signer;
use tokio::fs::OpenOptions;
use tokio::io::AsyncReadExt as _;

/// What follows a component's file name in the name of its signature.
pub const SIGNATURE_SUFFIX: &str = ".minisig";

/// How long a signature may be, in bytes. One with the longest trusted comment that `minisign` takes has
/// less than 9 KiB.
pub const SIGNATURE_BYTES_MAX: usize = 16 << 10;

/// How long the name of a key may be, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A public key whose signatures are accepted.
#[derive(Clone, PartialEq)]
pub struct SigningKey {
    name: String,
    text: String,
    key: PublicKey,
}

impl SigningKey {
    /// A key by the name that people are shown, and by its text: the second line of `minisign.pub`.
    pub fn new(name: &str, key: &str) -> Result<Self, SigningKeyError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(SigningKeyError::Name);
        }
        let text = key.trim();
        // What may be a secret is never repeated.
        if text.len() > 100 && text.starts_with("RW") {
            return Err(SigningKeyError::Secret { name: name.to_owned() });
        }
        let parsed = PublicKey::from_base64(text);
        let key = parsed.map_err(|_| SigningKeyError::Malformed { name: name.to_owned() })?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), key })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key, as text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.name, self.text)
    }
}

/// Why a key cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// A name that nobody could be shown.
    #[error("the name of a key has 1 to {NAME_BYTES_MAX} bytes, without control characters")]
    Name,
    /// Not a key.
    #[error("the key of `{name}` is no public key of minisign")]
    Malformed {
        /// What it was to be called.
        name: String,
    },
    /// A key that nobody else should have.
    #[error("the key of `{name}` is a secret key")]
    Secret {
        /// What it was to be called.
        name: String,
    },
}

impl SigningKeyError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Name => "name it after its owner, such as `acme`",
            Self::Malformed { .. } => "write the second line of `minisign.pub`, which begins with `RW`",
            Self::Secret { .. } => {
                "everybody who could read it can sign: make a new pair of keys, and write the public one, the second \
                 line of `minisign.pub`"
            }
        }
        .to_owned()
    }
}

/// Why a component's signature does not do. The texts complete the sentence "the component is refused: …".
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is none.
    #[error("it is not signed{}", searched(looked_for))]
    Unsigned {
        /// The file that would have held it; empty if there is no such place.
        looked_for: String,
        /// The keys that would do.
        accepted: Vec<SigningKey>,
    },
    /// There is one that does not hold.
    #[error("its signature `{file}` {problem}")]
    Wrong {
        /// Where the signature came from.
        file: String,
        /// What is wrong with it.
        problem: SignatureProblem,
        /// The keys that would do.
        accepted: Vec<SigningKey>,
    },
    /// The component came in with a signature of a key that is not accepted now.
    #[error("it is signed by `{}`, whose key {} is not accepted any more", signer.name, signer.key)]
    NotAccepted {
        /// Whose signature was checked then.
        signer: Signer,
        /// The keys that would do.
        accepted: Vec<SigningKey>,
    },
}

/// What is wrong with a signature. The texts complete the sentence "its signature …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureProblem {
    /// Not what minisign writes.
    #[error("is not one of minisign's")]
    Malformed,
    /// Over the bytes themselves, as minisign did it before 0.10.
    #[error("is of the legacy form, which is not taken")]
    Legacy,
    /// By another key.
    #[error("was made with a key that is not accepted")]
    OtherKey,
    /// By an accepted key, over something else.
    #[error("is not of these bytes")]
    OtherBytes,
}

fn searched(file: &str) -> String {
    if file.is_empty() { String::new() } else { format!(": there is no `{file}`") }
}

impl SignatureError {
    /// The codes of all variants.
    pub const CODES: &[&str] = &["component-unsigned", "component-signature-wrong"];

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned { .. } => "component-unsigned",
            Self::Wrong { .. } | Self::NotAccepted { .. } => "component-signature-wrong",
        }
    }

    /// What to do about it: which keys would do, and how a signature is made.
    pub fn help(&self) -> String {
        let (Self::Unsigned { accepted, .. }
        | Self::Wrong { accepted, .. }
        | Self::NotAccepted { accepted, .. }) = self;
        let keys: Vec<_> = accepted.iter().map(ToString::to_string).collect();
        let keys = keys.join(", ");
        match self {
            Self::Wrong { problem: SignatureProblem::OtherBytes, .. } => {
                format!("the component was changed after it was signed; get both files again from {keys}")
            }
            Self::Wrong { problem: SignatureProblem::Legacy, .. } => {
                format!("sign it again without `-l`, with the key of {keys}")
            }
            Self::NotAccepted { .. } => format!("upload it again with a signature of {keys}"),
            Self::Unsigned { .. } | Self::Wrong { .. } => {
                format!(
                    "accepted are signatures of {keys}, made by `minisign -S -m` and the component's file"
                )
            }
        }
    }
}

/// The text of a signature's file, as far as any signature goes. None if there is no such file. A pipe is not waited
/// for, and of a device nothing is read.
pub async fn read_signature(path: &Path) -> io::Result<Option<String>> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let file = match options.open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata().await?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(SIGNATURE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await?;
    // What is no text is no signature either, and is told so when it is checked.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Which of the keys made a signature of these bytes. Only signatures of the bytes' hash are taken, as
/// minisign makes them unless it is told otherwise: one form is easier to be sure of than two.
pub(crate) fn verify(
    keys: &[SigningKey],
    bytes: &[u8],
    file: &str,
    signature: &str,
) -> Result<Signer, SignatureError> {
    let wrong = |problem| SignatureError::Wrong { file: file.to_owned(), problem, accepted: keys.to_vec() };
    if signature.len() > SIGNATURE_BYTES_MAX {
        return Err(wrong(SignatureProblem::Malformed));
    }
    let signature = Signature::decode(signature).map_err(|_| wrong(SignatureProblem::Malformed))?;
    let mut problem = SignatureProblem::OtherKey;
    for SigningKey { name, text, key } in keys {
        match key.verify(bytes, &signature, false) {
            Ok(()) => return Ok(Signer { name: name.clone(), key: text.clone() }),
            Err(Refusal::UnexpectedKeyId) => {}
            Err(Refusal::UnexpectedAlgorithm | Refusal::UnsupportedLegacyMode) => {
                problem = SignatureProblem::Legacy;
            }
            Err(_) => problem = SignatureProblem::OtherBytes,
        }
    }
    Err(wrong(problem))
}

/// Whether who signed a component that is kept is somebody whose signature is accepted now.
pub(crate) fn judge(keys: &[SigningKey], signer: Option<&Signer>) -> Result<(), SignatureError> {
    let accepted = || keys.to_vec();
    match signer {
        None => Err(SignatureError::Unsigned { looked_for: String::new(), accepted: accepted() }),
        Some(signer) if keys.iter().any(|key| key.text == signer.key) => Ok(()),
        Some(signer) => Err(SignatureError::NotAccepted { signer: signer.clone(), accepted: accepted() }),
    }
}

#[cfg(test)]
mod tests;
