//! The values that an element gets when it opens.

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{Columns, StepError, contract};

/// The parameter type of a step that has no parameters, or ignores them.
pub type NoParameters = IgnoredAny;

/// The values that an element gets when it opens, in addition to its parameters.
pub struct Opening {
    /// The columns of the items. A reader gets none and adds its own; a processor may add and remove some; a
    /// writer only reads them.
    pub columns: Columns,
    checkpoint: Option<Vec<u8>>,
}

impl Opening {
    /// Splits the runtime's setup into typed parameters and the rest.
    pub(crate) fn of<P: DeserializeOwned>(setup: contract::Setup) -> Result<(P, Opening), StepError> {
        let parameters = parse_parameters(&setup.parameters)?;
        Ok((parameters, Opening { columns: Columns::of(setup.header), checkpoint: setup.checkpoint }))
    }

    /// The value that [`Checkpoint::of`] stored, if the step is resumed; otherwise `None`.
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, StepError> {
        let Some(bytes) = &self.checkpoint else { return Ok(None) };
        serde_json::from_slice(bytes).map(Some).map_err(|error| {
            let problem = format_args!("the checkpoint is not one of this step's version: {error}; restart the job from its beginning");
            StepError::new("bad-checkpoint", problem)
        })
    }

    /// The stored bytes of the checkpoint, for a step with a format of its own.
    pub fn checkpoint_bytes(&self) -> Option<&[u8]> {
        self.checkpoint.as_deref()
    }
}

/// The state of an element, so that a later `open` can continue from there. At most 64 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint(Vec<u8>);

impl Checkpoint {
    /// A checkpoint for an element without state.
    pub fn none() -> Checkpoint {
        Checkpoint::default()
    }

    /// A checkpoint of any value, stored as JSON.
    pub fn of<T: Serialize>(place: &T) -> Result<Checkpoint, StepError> {
        Ok(Checkpoint(serde_json::to_vec(place)?))
    }

    /// A checkpoint of bytes in the element's own format.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Checkpoint {
        Checkpoint(bytes.into())
    }

    /// The bytes that are stored.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Converts parameters to the step's own type. An error names its parameter.
pub(crate) fn parse_parameters<P: DeserializeOwned>(json: &str) -> Result<P, StepError> {
    let mut source = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => StepError::new("bad-parameter", format_args!("the parameters: {}", error.inner())),
            path => StepError::parameter(path, error.inner()),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Shop {
        #[expect(dead_code, reason = "only the refusals are of interest")]
        storage: Storage,
    }

    #[derive(Debug, Deserialize)]
    struct Storage {
        #[expect(dead_code, reason = "only the refusals are of interest")]
        path: String,
    }

    #[test]
    fn an_unfit_parameter_is_named() {
        check(
            r#"{"storage": {"path": 3}}"#,
            "parameter `storage.path`: invalid type: integer `3`, expected a string",
        );
        check(r#"{}"#, "the parameters: missing field `storage`");

        fn check(json: &str, expected: &str) {
            let refusal = parse_parameters::<Shop>(json).unwrap_err();
            assert_eq!(refusal.code, "bad-parameter");
            assert!(refusal.message.starts_with(expected), "{}", refusal.message);
        }
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was_kept() {
        let kept = Checkpoint::of(&(41_u64, "b")).unwrap().into_bytes();
        let setup = contract::Setup { parameters: "{}".into(), checkpoint: Some(kept), ..Default::default() };
        let (_, opening) = Opening::of::<NoParameters>(setup).unwrap();

        assert_eq!(opening.checkpoint::<(u64, String)>().unwrap(), Some((41, "b".to_owned())));
        assert_eq!(opening.checkpoint::<bool>().unwrap_err().code, "bad-checkpoint");
    }
}
