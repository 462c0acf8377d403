//! `application/x-www-form-urlencoded`.

/// One field as the body of a form.
pub(crate) fn field(name: &str, value: &str) -> String {
    let mut body = format!("{name}=");
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                body.push(char::from(byte))
            }
            b' ' => body.push('+'),
            _ => {
                body.push('%');
                body.push(HEXADECIMAL[usize::from(byte >> 4)]);
                body.push(HEXADECIMAL[usize::from(byte & 15)]);
            }
        }
    }
    body
}

const HEXADECIMAL: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
