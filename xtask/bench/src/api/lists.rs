//! Each list and each show, one request after another.

use serde::Serialize;

use crate::Result;
use crate::client::Client;
use crate::installation::CODE;

/// The most that 95 of 100 requests may take, in milliseconds.
const P95_MAX: f64 = 50.0;

/// How long the requests for one thing took, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Asked {
    what: &'static str,
    p50: f64,
    p95: f64,
    most: f64,
}

pub(crate) async fn ask(client: &Client, id: u64, asks: usize) -> Result<Vec<Asked>> {
    let deep = deep(client).await?;
    let rows = [
        ("executions", "/executions?limit=50".to_owned()),
        ("executions, a deep page", deep),
        ("executions of an instance", format!("/executions?limit=50&instance={CODE}")),
        ("executions that failed", "/executions?limit=50&status=FAILED".to_owned()),
        (
            "executions of an instance that stopped",
            format!("/executions?limit=50&instance={CODE}&status=STOPPED"),
        ),
        ("an execution", format!("/executions/{id}")),
        ("warnings of an execution", format!("/executions/{id}/warnings")),
        ("instances", "/instances?limit=50".to_owned()),
        ("an instance", format!("/instances/{CODE}")),
        ("jobs", "/jobs".to_owned()),
        ("connectors", "/connectors".to_owned()),
        ("audit", "/audit?limit=50".to_owned()),
        ("queue", "/queue".to_owned()),
        ("workers", "/workers".to_owned()),
    ];
    let mut all = Vec::new();
    for (what, path) in rows {
        let mut took = Vec::new();
        for _ in 0..asks {
            took.push(client.time(&path).await?.as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
        all.push(Asked { what, p50: at(50), p95: at(95), most: at(100) });
    }
    Ok(all)
}

/// The address of a page far from the first one.
async fn deep(client: &Client) -> Result<String> {
    let mut path = "/executions?limit=50".to_owned();
    for _ in 0..20 {
        let page = client.get(&path).await?;
        let next = page["next"].as_str().ok_or("there are more pages")?;
        path = format!("/executions?limit=50&after={next}");
    }
    Ok(path)
}

pub(crate) fn print(all: &[Asked]) {
    println!("{:42} {:>8} {:>8} {:>8}  milliseconds", "", "p50", "p95", "most");
    for Asked { what, p50, p95, most } in all {
        let mark = if *p95 > P95_MAX { "  more than may be" } else { "" };
        println!("{what:42} {p50:8.2} {p95:8.2} {most:8.2}{mark}");
    }
}
