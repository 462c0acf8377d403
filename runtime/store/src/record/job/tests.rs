//! A job that was stored before the settings for workers, skip, retry, restart and flow existed.

use stepbox_batch::job::{Backoff, CheckpointInterval, Rerun, RetryPolicy, SkipPolicy, StepFlow};
use stepbox_batch::name::StepName;

use super::*;

/// The bytes that version 0.1 wrote: executions keep the form of their time.
const OF_VERSION_0_1: &str = concat!(
    r#"{"format":"1","connector":"acme","name":"acme_export","type":"export","label":"Acme","#,
    r#""stoppable":true,"parameters":{"properties":{}},"steps":[{"name":"export","work":{"item":{"#,
    r#""reader":{"source":{"native":{"name":"csv"}},"options":{"from":"${parameters.source}"}},"#,
    r#""processors":[{"source":{"component":{"name":"normalise","#,
    r#""digest":"0101010101010101010101010101010101010101010101010101010101010101"}},"options":null}],"#,
    r#""writer":{"source":{"native":{"name":"jsonl"}},"options":null},"#,
    r#""chunk_rows":500,"chunk_bytes":262144}},"grants":{"http":[],"files":{"in":"read /srv/in"}},"#,
    r#""limits":{"memory_bytes_max":null,"time_ms_max":2000,"disk_bytes_max":null,"#,
    r#""log_bytes_max":null,"http_requests_max":null}},{"name":"notify","work":{"tasklet":{"tasklet":"#,
    r#"{"source":{"native":{"name":"pause"}},"options":null}}},"grants":{"http":[],"files":{}},"#,
    r#""limits":{"memory_bytes_max":null,"time_ms_max":null,"disk_bytes_max":null,"#,
    r#""log_bytes_max":null,"http_requests_max":null}}]}"#
);

fn read(text: &str) -> Result<Job> {
    decode(&Row("execution 7".to_owned()), "job", text)
}

#[test]
fn a_job_without_the_settings_does_what_it_did() {
    let job = read(OF_VERSION_0_1).unwrap();
    assert_eq!(job.concurrency, None);
    let [export, notify] = &job.steps[..] else { panic!("{:?}", job.steps) };
    let StepKind::Item { processors, settings, .. } = &export.kind else { panic!("an item step") };
    let expected = ItemSettings {
        chunk: ChunkLimit { rows: 500, bytes: 262_144 },
        chunk_ms: 1000,
        workers: 1,
        ordered: true,
        checkpoint: CheckpointInterval { items: None, ms: 1000 },
        skip: SkipPolicy::default(),
        partitions: 1,
    };
    assert_eq!(**settings, expected);
    let ElementSource::Component(normalise) = &processors[0].source else { panic!("a component") };
    assert_eq!((normalise.is_stateless, &normalise.columns_in), (false, &None));
    assert_eq!(export.limits.time_ms_max, Some(2000));
    for step in [export, notify] {
        let retry = RetryPolicy { limit: 0, on: None, backoff: Backoff { ms: 1000, ms_max: 60_000 } };
        assert_eq!((&step.retry, step.rerun, step.start_limit), (&retry, Rerun::UnlessCompleted, None));
        assert_eq!(step.flow, StepFlow::default());
    }
    assert_eq!(notify.name, StepName::new("notify").unwrap());
    assert_eq!(read(&encode(&job)).unwrap(), job, "it is stored again with all its settings");
}

#[test]
fn a_setting_that_nobody_knows_is_refused() {
    let rows = [
        (r#""name":"notify","#, r#""name":"notify","priority":1,"#, "unknown field `priority`"),
        (
            r#""chunk_rows":500"#,
            r#""chunk_rows":500,"skip":{"limit":1,"on":null,"x":1}"#,
            "unknown field `x`",
        ),
        (r#""name":"notify","#, r#""name":"notify","rerun":"never","#, "unknown variant `never`"),
        (
            r#""name":"notify","#,
            r#""name":"notify","flow":{"on":[{"exit":"*","to":{"step":"a b"}}],"always":false,"branch":null},"#,
            "holds the character ` `",
        ),
    ];
    for (part, replacement, expected) in rows {
        assert!(OF_VERSION_0_1.contains(part), "{part}");
        let error = read(&OF_VERSION_0_1.replacen(part, replacement, 1)).unwrap_err().to_string();
        assert!(error.starts_with("the store holds a `job` of execution 7 that cannot be read: "), "{error}");
        assert!(error.contains(expected), "{replacement}: {error}");
    }
}
