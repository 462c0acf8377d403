//! A checkpoint as bytes. Its parts are opaque and may be large, so no text form carries them.
//!
//! ```text
//! format    1 byte, 2
//! reader    length (u64, little-endian), bytes
//! number    of processors (u64)
//! each      length (u64), bytes
//! writer    length (u64), bytes
//! rejected  length (u64), bytes; nothing follows
//! ```
//!
//! Format 1, from the time before the rejected items file, ends after the writer. It is read, but never written.
//! Only the known formats are accepted, and only if they are complete: a resume from half a checkpoint would repeat
//! or lose items silently.

use stepbox_batch::execution::Checkpoint;

/// Without `rejected`.
const FORMAT_1: u8 = 1;
const FORMAT: u8 = 2;

/// The stored form.
pub(crate) fn encode(checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { reader, processors, writer, rejected } = checkpoint;
    let mut bytes = vec![FORMAT];
    put(&mut bytes, reader);
    bytes.extend((processors.len() as u64).to_le_bytes());
    processors.iter().for_each(|processor| put(&mut bytes, processor));
    put(&mut bytes, writer);
    put(&mut bytes, rejected);
    bytes
}

/// The checkpoint of a stored form. An error says what is wrong with the form.
pub(crate) fn decode(bytes: &[u8]) -> Result<Checkpoint, String> {
    match bytes.split_first() {
        Some((&format @ (FORMAT_1 | FORMAT), mut rest)) => {
            let reader = take(&mut rest)?;
            let count = take_number(&mut rest)?;
            let processors = (0..count).map(|_| take(&mut rest)).collect::<Result<_, _>>()?;
            let writer = take(&mut rest)?;
            let rejected = if format == FORMAT_1 { Vec::new() } else { take(&mut rest)? };
            match rest.len() {
                0 => Ok(Checkpoint { reader, processors, writer, rejected }),
                more => Err(format!("{more} bytes follow its end")),
            }
        }
        Some((other, _)) => {
            Err(format!("it has format {other}; this program knows the formats {FORMAT_1} and {FORMAT}"))
        }
        None => Err("it is empty".to_owned()),
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_le_bytes());
    bytes.extend(part);
}

fn take(rest: &mut &[u8]) -> Result<Vec<u8>, String> {
    let length = take_number(rest)?;
    let part = usize::try_from(length).ok().and_then(|length| rest.split_off(..length));
    part.map(<[u8]>::to_vec).ok_or_else(|| format!("a part of {length} bytes is cut off"))
}

fn take_number(rest: &mut &[u8]) -> Result<u64, String> {
    let number = rest.split_off(..8).ok_or("a length is cut off")?;
    Ok(u64::from_le_bytes(number.try_into().expect("eight bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Checkpoint {
        Checkpoint {
            reader: b"offset 41".to_vec(),
            processors: vec![vec![], vec![0, 255]],
            writer: vec![7],
            rejected: vec![8, 9],
        }
    }

    /// The beginning of both formats, of the sample.
    fn until_writer() -> Vec<u8> {
        let parts = [
            &9u64.to_le_bytes()[..],
            b"offset 41",
            &2u64.to_le_bytes(),
            &0u64.to_le_bytes(),
            &2u64.to_le_bytes(),
            &[0, 255],
            &1u64.to_le_bytes(),
            &[7],
        ];
        parts.concat()
    }

    #[test]
    fn comes_back_as_it_went() {
        for checkpoint in [Checkpoint::default(), sample()] {
            assert_eq!(decode(&encode(&checkpoint)), Ok(checkpoint));
        }
    }

    /// The stored bytes are a promise to later versions: this test fails when they change.
    #[test]
    fn keeps_its_form() {
        let expected = [&[2][..], &until_writer(), &2u64.to_le_bytes(), &[8, 9]];
        assert_eq!(encode(&sample()), expected.concat());
    }

    #[test]
    fn reads_the_format_without_rejected_items() {
        let bytes = [&[1][..], &until_writer()].concat();
        assert_eq!(decode(&bytes), Ok(Checkpoint { rejected: Vec::new(), ..sample() }));
    }

    #[test]
    fn refuses_every_shorter_form_and_any_longer_one() {
        for bytes in [encode(&sample()), [&[1][..], &until_writer()].concat()] {
            for length in 0..bytes.len() {
                assert!(decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
            }
            assert_eq!(decode(&[&bytes[..], b"x"].concat()), Err("1 bytes follow its end".to_owned()));
        }
    }

    #[test]
    fn refuses_another_format_and_impossible_lengths() {
        let rows = [
            (vec![3, 0], "it has format 3; this program knows the formats 1 and 2"),
            (vec![1; 9], "a part of 72340172838076673 bytes is cut off"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(decode(&bytes), Err(expected.to_owned()));
        }
    }
}
