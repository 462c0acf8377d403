//! The behaviour of every store: one suite, which is run against each of them.
//!
//! A behaviour is a function that gets an empty store; [`conformance!`](crate::conformance!) makes a test of each. The
//! name of a behaviour is its sentence: `leases::a_fenced_worker_cannot_write`.

#![allow(missing_docs, reason = "the name of a behaviour is its sentence")]

pub mod audit;
pub mod components;
pub mod connectors;
pub mod endings;
pub mod events;
pub mod executions;
pub mod idempotency;
pub mod installation;
pub mod instances;
pub mod leases;
pub mod links;
pub mod members;
pub mod model;
pub mod narrowing;
pub mod pauses;
pub mod purging;
pub mod queue;
pub mod saves;
pub mod sessions;
pub mod stops;
pub mod tenants;
pub mod tokens;
pub mod uploads;
pub mod users;
pub mod views;
pub mod watchdog;
pub mod wholes;
pub mod workers;

/// Makes a `#[tokio::test]` of each behaviour. The argument names an async function that returns an empty store, or
/// something that dereferences to one.
#[macro_export]
macro_rules! conformance {
    ($empty_store:ident) => {
        $crate::conformance! { @tests $empty_store
            audit {
                each_action_leaves_its_event
                of_the_installation_is_apart
                what_is_refused_leaves_no_event
                comes_newest_first_and_filtered
                outlives_what_it_tells_of
                is_purged_by_age_and_says_so
            }
            components {
                a_digest_is_recorded_once
                come_back_as_they_went
                a_signer_is_taken_over_and_never_lost
                a_released_version_keeps_its_bytes
                come_by_name_then_newest_first
                come_in_while_there_is_room
                of_two_at_once_one_takes_the_last_place
                are_kept_while_a_connector_needs_them
                are_kept_while_an_execution_needs_them
                their_bytes_can_go_once_no_tenant_has_them
            }
            connectors {
                come_back_as_they_went
                come_by_code
                are_replaced_by_code
                a_label_is_taken_once
                a_job_name_is_taken_once
                are_kept_while_an_instance_needs_them
            }
            endings {
                what_has_not_begun_or_has_ended_badly_is_given_up
                giving_up_keeps_how_it_ended
                giving_up_takes_the_lease
                giving_up_leaves_nothing_open
            }
            events {
                tell_a_life_in_its_order
                tell_of_ends_without_a_worker
                tell_of_a_rest_and_a_resumption
                tell_of_lost_workers
                tell_of_parts_and_their_whole
                tell_what_a_restart_goes_on_from
                belong_to_changes_alone
                come_page_by_page_and_by_tenant
                none_is_missed_beside_many_writers
                who_waits_for_them_hears_of_them
                of_purged_executions_are_told_no_more
                are_dropped_when_they_are_old
                progress_is_read_without_them
            }
            executions {
                are_accepted_as_starting
                are_accepted_with_a_lease_at_once
                need_an_instance
                ids_grow_and_are_never_given_twice
                go_on_from_stopped_and_failed_ones
                go_on_from_another_only_one_at_a_time
                come_newest_first_and_filtered
                in_several_statuses_come_page_by_page
                of_hidden_instances_are_left_out
                are_listed_without_context_and_checkpoints
                tell_what_they_go_on_from
                keep_their_parameters_when_the_instance_changes
            }
            idempotency {
                a_request_with_a_key_is_accepted_once
                of_two_requests_at_once_one_is_accepted
                a_key_outlives_what_it_published
                a_refused_request_keeps_no_key
                a_key_is_forgotten_after_a_day
                without_a_key_every_request_is_accepted
                of_several_requests_each_has_its_answer
            }
            installation {
                is_the_same_each_time
            }
            instances {
                come_back_as_they_went
                keep_any_text
                a_code_is_taken_once
                label_and_raw_parameters_change
                change_only_in_the_expected_version
                of_changes_at_once_one_is_made
                keep_their_versions
                keep_a_hundred_versions
                come_by_type_then_code
                are_copied_with_their_lists
                are_kept_while_an_execution_has_not_ended
            }
            leases {
                are_taken_where_nobody_holds_them
                a_claim_counts_attempts_and_names_the_worker
                one_of_many_claims_wins
                a_fenced_worker_cannot_write
                a_slow_worker_may_write_until_somebody_acts
                given_back_is_gone
                a_paused_one_is_resumed_as_itself
                a_heartbeat_prolongs_and_tells_of_a_stop
                written_in_the_future_are_cut_once
                of_workers_known_to_live_are_left_alone
            }
            links {
                are_used_once
                of_two_uses_at_once_one_wins
                are_of_no_use_when_they_are_old
                are_replaced_by_newer_ones
                are_used_up_by_a_password
                of_users_who_must_not_come_in_are_dead
                for_the_first_operator_need_an_empty_installation
                of_two_first_operators_one_wins
            }
            members {
                have_one_role_in_a_tenant
                must_be_users
                are_of_their_tenant_alone
                lose_their_sessions_with_their_role
                are_listed_by_name
                are_named_in_lists_of_instances
                lists_need_an_instance_and_members
                lists_outlive_the_instance
                leave_lists_when_they_go
            }
            model {
                short_histories_end_well
                random_histories_end_well
            }
            narrowing {
                goes_by_what_an_execution_was_accepted_with
                goes_by_how_long_it_took
                goes_by_the_warnings_of_all_steps
                tells_continued_ones_from_others
                searches_codes_and_labels
                counts_up_to_a_bound
            }
            pauses {
                are_requested_of_workers_and_done_where_there_is_none
                are_heard_with_stops_and_survive_a_save
                keep_what_waits_from_its_beginning
                do_not_shorten_a_delay
                last_until_the_execution_is_resumed
                differ_from_what_a_worker_hands_back
                of_what_was_in_no_queue_end_there
                end_with_a_claim_by_number
                outlast_the_loss_of_a_worker
                take_parts_along
                end_with_the_execution
                are_refused_where_the_job_is_not_stoppable
                make_no_room_in_the_queue
            }
            purging {
                takes_what_has_ended
                keeps_the_last_success_of_each_instance
                takes_only_what_matches
                takes_steps_and_warnings_along
            }
            queue {
                an_entry_is_there_until_its_execution_has_ended
                what_was_not_published_is_not_taken
                priority_goes_first_then_age
                a_flood_of_one_tenant_is_no_wait_for_another
                a_tenant_runs_no_more_than_it_may
                a_worker_takes_what_it_is_for
                a_delayed_entry_waits_for_its_time
                a_unique_one_is_refused_while_its_double_has_not_ended
                no_more_wait_than_may
                an_instance_runs_as_often_at_a_time_as_its_job_allows
                what_is_handed_back_waits_again
                what_a_lost_worker_held_goes_on_elsewhere
                what_was_claimed_and_not_begun_goes_on_elsewhere
                a_lost_one_that_was_to_stop_is_stopped
                what_waits_is_stopped_and_given_up_at_once
                what_is_claimed_by_its_number_is_not_taken_twice
                each_entry_is_taken_once_by_many
                who_waits_for_work_hears_of_it
                its_depth_is_told_by_tenant_and_state
                parts_are_accepted_by_the_holder_of_the_lease_alone
                parts_end_with_the_whole
                parts_wait_with_the_age_of_the_whole
            }
            saves {
                move_only_where_the_state_machine_says_so
                write_the_state_and_nothing_else
                always_set_an_end_time
                write_a_step_in_its_position
                keep_a_checkpoint_until_the_next_one
                append_warnings
                happen_as_a_whole_or_not_at_all
                write_progress_alone
                hold_any_text
                hold_large_numbers
            }
            sessions {
                stand_for_their_user
                need_what_the_user_has_shown
                end_when_they_are_not_used
                are_dead_at_once
                that_were_ended_stay_dead
                of_a_sign_in_beside_a_change_none_is_left
                are_few_for_each_user
                are_unknown_by_other_hashes
            }
            stops {
                are_requested_of_workers_and_done_where_there_is_none
                are_refused_where_the_job_is_not_stoppable
                survive_a_save
                at_once_leave_nothing_open
                are_remembered_until_a_worker_comes
            }
            tenants {
                never_see_each_other
            }
            tokens {
                stand_for_their_owner
                have_the_rights_of_the_moment
                of_the_installation_need_an_operator
                expire
                are_dead_at_once
                made_with_another_go_with_it
                made_beside_a_revocation_are_not_left
                are_listed_by_tenant_and_owner
                are_revoked_where_they_belong
                are_few_for_each_user
                tell_when_they_were_used
            }
            users {
                come_back_as_they_went
                a_name_and_an_identity_are_taken_once
                change_and_say_so
                come_by_name_page_by_page
                leave_an_operator
                leave_an_operator_also_at_once
                leave_nothing_behind
                have_passwords_that_are_checked_and_set
            }
            uploads {
                come_back_as_they_went
                come_in_while_there_is_room
                of_two_at_once_one_takes_the_last_place
                go_before_they_are_forgotten
                go_when_their_time_is_over
                are_kept_while_something_names_them
            }
            views {
                are_kept_for_each_user_and_tenant
                are_few_for_each_user
                go_with_their_user
            }
            watchdog {
                fails_what_a_lost_worker_left_behind
                what_is_to_run_whatever_happened_runs_once_more
                waits_for_no_lease_of_a_worker_known_to_be_dead
                says_who_was_lost_and_when
                spares_the_living_and_the_ended
                watches_all_tenants
            }
            wholes {
                lost_at_once_with_their_parts_end_together_or_go_on_together
                lost_before_their_parts_take_these_along_later
                lost_after_their_parts_end_what_waits_again
                that_ended_by_their_own_worker_leave_no_part_behind
                given_up_or_purged_take_their_parts_along
                a_part_of_a_restarted_one_is_judged_with_its_own_whole
            }
            workers {
                are_listed_as_they_said_last
                are_forgotten_after_a_day_of_silence
                what_they_hold_is_told
            }
        }
    };
    (@tests $empty_store:ident $($group:ident { $($behaviour:ident)+ })+) => {
        $(mod $group {
            use super::$empty_store;
            $(#[tokio::test]
            async fn $behaviour() {
                let store = $empty_store().await;
                $crate::conformance::$group::$behaviour(&*store).await;
            })+
        })+
    };
}

#[cfg(test)]
mod tests {
    /// A behaviour that is missing in the macro would never run.
    #[test]
    fn every_behaviour_is_a_test() {
        let list = include_str!("conformance.rs");
        let groups = [
            include_str!("conformance/audit.rs"),
            include_str!("conformance/components.rs"),
            include_str!("conformance/connectors.rs"),
            include_str!("conformance/endings.rs"),
            include_str!("conformance/events.rs"),
            include_str!("conformance/executions.rs"),
            include_str!("conformance/idempotency.rs"),
            include_str!("conformance/instances.rs"),
            include_str!("conformance/leases.rs"),
            include_str!("conformance/links.rs"),
            include_str!("conformance/members.rs"),
            include_str!("conformance/model.rs"),
            include_str!("conformance/narrowing.rs"),
            include_str!("conformance/pauses.rs"),
            include_str!("conformance/purging.rs"),
            include_str!("conformance/queue.rs"),
            include_str!("conformance/saves.rs"),
            include_str!("conformance/sessions.rs"),
            include_str!("conformance/stops.rs"),
            include_str!("conformance/tenants.rs"),
            include_str!("conformance/tokens.rs"),
            include_str!("conformance/users.rs"),
            include_str!("conformance/uploads.rs"),
            include_str!("conformance/views.rs"),
            include_str!("conformance/watchdog.rs"),
            include_str!("conformance/wholes.rs"),
            include_str!("conformance/workers.rs"),
        ];
        for line in groups.iter().flat_map(|group| group.lines()) {
            // A behaviour has a store as its only argument.
            let Some(behaviour) = line.strip_prefix("pub async fn ") else { continue };
            let Some(name) = behaviour.strip_suffix("(store: &dyn JobRepository) {") else { continue };
            assert!(list.contains(&format!("                {name}\n")), "`{name}` is not in the list");
        }
    }
}
