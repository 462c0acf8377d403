//! The worked example through the public API: install, create, run, look.
//!
//! `cargo run -p embed-minimal -- <connector folder> <catalogue.csv> <URL to notify>`
#![expect(clippy::print_stdout, reason = "an example shows what came of it")]

use stepbox::batch::name::TenantId;
use stepbox::{NewInstance, Policy, RunOptions, Stepbox};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [connector, catalogue, url] = &arguments[..] else {
        return Err("usage: embed-minimal <connector folder> <catalogue.csv> <URL to notify>".into());
    };
    // A tenant may read and write below one folder, and here also reach this machine itself.
    let folder = std::path::absolute(catalogue)?.parent().expect("a file has a folder").to_owned();
    let policy = Policy::nothing().with_folder(folder).with_loopback();
    let acme = TenantId::new("acme")?;
    let stepbox = Stepbox::builder(".stepbox").tenant(acme.clone(), policy).open().await?;
    let tenant = stepbox.tenant(&acme)?;

    tenant.install_connector(connector.as_ref()).await?;
    let new = NewInstance {
        connector: "acme_csv_notify".to_owned(),
        job: "csv_product_export_notify".to_owned(),
        job_type: "export".to_owned(),
        code: format!("products_{}", std::process::id()),
        label: None,
        parameters: serde_json::json!({
            "source": { "type": "local", "file_path": std::path::absolute(catalogue)? },
            "urlToNotify": url,
        }),
    };
    let instance = tenant.create_instance(new).await?;
    let execution = tenant.run(instance.code.as_str(), RunOptions::default()).await?.wait().await?;
    println!("execution {}: {} {:?}", execution.id, execution.status, execution.steps[0].counts);
    Ok(())
}
