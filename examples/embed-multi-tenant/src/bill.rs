//! What a customer used, for a bill.

use std::fmt;

use stepbox::Tenant;
use stepbox::batch::execution::ExecutionFilter;

use crate::Result;

/// How many executions are read at a time.
const PAGE: u32 = 500;

/// The sum over all executions of a customer.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    executions: u64,
    items: u64,
    /// Processor time of the customer's own steps, in microseconds.
    cpu_us: u64,
    requests: u64,
    refused: u64,
}

/// Adds up all executions of a customer, page by page.
pub(crate) async fn of(tenant: &Tenant) -> Result<Bill> {
    let mut bill = Bill::default();
    let mut filter = ExecutionFilter { limit: PAGE, ..ExecutionFilter::default() };
    loop {
        let page = tenant.executions(&filter).await?;
        for execution in &page {
            bill.executions += 1;
            for step in &execution.steps {
                bill.items += step.counts.written;
                bill.cpu_us += step.usage.cpu_us;
                bill.requests += step.usage.http_requests;
                bill.refused += step.usage.http_requests_refused;
            }
        }
        let Some(last) = page.last() else { return Ok(bill) };
        filter.before = Some(last.id);
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, items, cpu_us, requests, refused } = self;
        write!(
            f,
            "{executions} executions, {items} items, {:.1} ms of processor time, {requests} requests, {refused} refused",
            *cpu_us as f64 / 1e3
        )
    }
}
