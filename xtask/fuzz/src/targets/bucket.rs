//! Answers of a bucket: the client takes no more than it asked for, of the requested object alone, and every list
//! ends.

use stepbox_connectors::fuzzing;

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    fuzzing::bucket_answers(bytes);
}

/// A page of a list, in the form that servers write, and a range.
pub fn seeds() -> Vec<Vec<u8>> {
    let object = |key: &str| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;0&quot;</ETag>\
             <Size>7</Size></Contents>"
        )
    };
    let page =
        |inside: String| format!("<?xml version=\"1.0\"?><ListBucketResult>{inside}</ListBucketResult>");
    let ours = object("shop/out/.a.part/000001.1-1-00000000");
    let next = "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>";
    let error = "<Error><Code>SlowDown</Code><Message>no</Message></Error>";
    vec![
        answer(0, &page(ours.clone())),
        [answer(0, &page(format!("{ours}{next}"))), answer(0, &page(object("elsewhere")))].concat(),
        answer(0, &page(format!("{}{ours}{}", object("shop/bait"), object("x")))),
        answer(1 | 16, &"x".repeat(290)),
        answer(1 | 32, "bytes 0-9/5000"),
        answer(6, error),
        page(ours).into_bytes(),
    ]
}

fn answer(kind: u8, body: &str) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a short body").to_be_bytes();
    [&[kind], &length[..], body.as_bytes()].concat()
}
