//! Black-box tests: the public API and the binary, with real components, files and connections.

#![expect(unreachable_pub, reason = "one binary: everything is reached from here alone")]

mod audit;
mod bucket;
mod cli;
mod dns;
mod durability;
mod earlier_outputs;
mod egress;
mod embedders;
mod faults;
mod files;
mod floods;
mod flow;
mod forms;
mod guests;
mod installations;
mod interrupted;
mod killed_at_buckets;
mod left_behind;
mod left_over;
mod lying_bucket;
mod lying_hosts;
mod metrics;
mod native_and_sandboxed;
mod own_files;
mod partitions;
mod promises;
mod queue;
mod requests;
mod secrets;
mod serve;
mod signatures;
mod storages;
mod support;
mod tenant_changes;
mod tenant_goes;
mod tenants;
mod uploads;
mod wellness;
mod worked_example;
mod workers;
