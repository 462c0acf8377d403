//! Signatures of components: detached signatures, as `minisign` and `rsign` make them.

use std::path::Path;
use std::{fmt, io};

use minisign_verify::{Error as Refusal, PublicKey, Signature};
use stepbox_batch::inventory::Signer;
use tokio::fs::OpenOptions;
use tokio::io::AsyncReadExt as _;

/// The suffix of a signature's file name, after the component's file name.
pub const SIGNATURE_SUFFIX: &str = ".minisig";

/// The maximum length of a signature, in bytes.
///
/// A signature with the longest trusted comment that `minisign` accepts has less than 9 KiB.
pub const SIGNATURE_BYTES_MAX: usize = 16 << 10;

/// The maximum length of the name of a key, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A public key whose signatures are accepted.
#[derive(Clone, PartialEq)]
pub struct SigningKey {
    name: String,
    text: String,
    key: PublicKey,
}

impl SigningKey {
    /// A key with a name for people and its text: the second line of `minisign.pub`.
    pub fn new(name: &str, key: &str) -> Result<Self, SigningKeyError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(SigningKeyError::Name);
        }
        let text = key.trim();
        // A text that may be a secret key is never repeated in a message.
        if text.len() > 100 && text.starts_with("RW") {
            return Err(SigningKeyError::Secret { name: name.to_owned() });
        }
        let parsed = PublicKey::from_base64(text);
        let key = parsed.map_err(|_| SigningKeyError::Malformed { name: name.to_owned() })?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), key })
    }

    /// The name for people.
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
    /// The name is empty, too long, or has control characters.
    #[error("the name of a key has 1 to {NAME_BYTES_MAX} bytes, without control characters")]
    Name,
    /// The text is not a public key.
    #[error("the key of `{name}` is no public key of minisign")]
    Malformed {
        /// The name of the key.
        name: String,
    },
    /// The key is a secret key, which only its owner should have.
    #[error("the key of `{name}` is a secret key")]
    Secret {
        /// The name of the key.
        name: String,
    },
}

impl SigningKeyError {
    /// How to correct it.
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

/// Why a component's signature is not accepted.
///
/// The texts complete the sentence "the component is refused: …".
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The component has no signature.
    #[error("it is not signed{}", searched(looked_for))]
    Unsigned {
        /// The file that was searched; empty if there is no such file.
        looked_for: String,
        /// The accepted keys.
        accepted: Vec<SigningKey>,
    },
    /// The component has a signature that is not valid.
    #[error("its signature `{file}` {problem}")]
    Wrong {
        /// The file of the signature.
        file: String,
        /// What is wrong with the signature.
        problem: SignatureProblem,
        /// The accepted keys.
        accepted: Vec<SigningKey>,
    },
    /// The component was uploaded with a signature of a key that is not accepted now.
    #[error("it is signed by `{}`, whose key {} is not accepted any more", signer.name, signer.key)]
    NotAccepted {
        /// The signer at the time of the upload.
        signer: Signer,
        /// The accepted keys.
        accepted: Vec<SigningKey>,
    },
}

/// What is wrong with a signature.
///
/// The texts complete the sentence "its signature …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureProblem {
    /// It does not have the form of minisign.
    #[error("is not one of minisign's")]
    Malformed,
    /// It signs the bytes themselves, as minisign did before 0.10.
    #[error("is of the legacy form, which is not taken")]
    Legacy,
    /// It was made with another key.
    #[error("was made with a key that is not accepted")]
    OtherKey,
    /// It was made with an accepted key, for other bytes.
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

    /// How to correct it: the accepted keys, and how to make a signature.
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

/// Reads the text of a signature's file, up to the maximum length of a signature.
///
/// `None` if there is no such file. Opening a pipe does not wait, and nothing is read from a device.
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
    // A file that is not UTF-8 is not a signature either. The check of the signature reports that.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Returns which of the keys made a signature of these bytes. Only signatures of the hash of the bytes are
/// accepted, which is the default of minisign. One form is easier to check than two.
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

/// Whether the signature of a stored component is accepted now.
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
