//! Reads a component that arrives piece by piece.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::form::COMPONENT_BYTES_MAX;
use crate::error::ComponentError;

/// Reads a component to its end, or up to one byte more than the maximum.
///
/// So an endless stream is refused at that length, and never more of it is held in memory.
pub async fn receive(stream: impl AsyncRead + Unpin) -> Result<Vec<u8>, ComponentError> {
    let mut bytes = Vec::new();
    let read = stream.take(COMPONENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await;
    read.map_err(|source| ComponentError::Unreadable { source })?;
    match bytes.len() > COMPONENT_BYTES_MAX {
        true => Err(ComponentError::TooLarge { max: COMPONENT_BYTES_MAX }),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::ReadBuf;

    use super::*;

    /// A stream of zeros, in pieces: a given number, or endless. It counts the bytes that were read.
    struct Zeros {
        left: u64,
        taken: u64,
    }

    impl AsyncRead for Zeros {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            let piece = self.left.min(60_000).min(buffer.remaining() as u64);
            buffer.put_slice(&vec![0; piece as usize]);
            self.left -= piece;
            self.taken += piece;
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn reads_one_byte_further_than_a_component_may_go_and_not_two() {
        const MAX: u64 = COMPONENT_BYTES_MAX as u64;
        for (length, taken, expected) in [
            (0, 0, "0 bytes"),
            (7, 7, "7 bytes"),
            (MAX, MAX, "33554432 bytes"),
            (MAX + 1, MAX + 1, "component-too-large"),
            (u64::MAX, MAX + 1, "component-too-large"),
        ] {
            let mut zeros = Zeros { left: length, taken: 0 };
            let found = match receive(&mut zeros).await {
                Ok(bytes) => format!("{} bytes", bytes.len()),
                Err(error) => error.code().to_owned(),
            };
            assert_eq!((found.as_str(), zeros.taken), (expected, taken), "{length}");
        }
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_is_told() {
        let error = receive(Broken).await.unwrap_err();
        assert_eq!(error.code(), "component-unreadable");
    }

    struct Broken;

    impl AsyncRead for Broken {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()))
        }
    }
}
