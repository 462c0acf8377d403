//! The program of a customer, which may run on any machine: it uploads steps, and runs a job with them.

use std::fs::File;
use std::path::Path;

use serde_json::json;
use stepbox_client::api::execution::Execution;
use stepbox_client::api::request::{CreateInstance, Launch};
use stepbox_client::{Client, ExecutionEvent, Outgoing, Token, pack_folder};

use crate::Result;
use crate::host::Customer;

/// How large a connector with its steps may be, in bytes.
const CONNECTOR_BYTES_MAX: u64 = 64 << 20;

/// Exports a catalogue, tells a URL about it, and returns the execution as it has ended.
pub(crate) async fn export(
    address: &str,
    customer: &Customer,
    connector: &Path,
    catalogue: &Path,
    url: &str,
) -> Result<Execution> {
    let client = Client::builder(address).token(Token::new(customer.key)?).build()?;
    let tenant = client.tenant(customer.name);

    let package = tempfile::NamedTempFile::new()?;
    pack_folder(connector, CONNECTOR_BYTES_MAX, File::create(package.path())?)?;
    tenant.install_connector(&Outgoing::open(package.path()).await?, false).await?;

    let new = CreateInstance {
        connector: "acme_csv_notify".to_owned(),
        job: "csv_product_export_notify".to_owned(),
        r#type: "export".to_owned(),
        code: format!("products_{}", std::process::id()),
        label: None,
        parameters: json!({
            "source": { "type": "local", "file_path": catalogue },
            "storage": { "type": "local", "file_path": catalogue.with_file_name("products.csv") },
            "urlToNotify": url,
        }),
    };
    let instance = tenant.create_instance(&new).await?;
    let published = tenant.publish(&instance.code, &Launch::default()).await?;
    let mut events = tenant.execution_events(published.id);
    while let Some(event) = events.next().await? {
        if let ExecutionEvent::End(execution) = event {
            return Ok(*execution);
        }
    }
    Err("the events end before the execution".into())
}
