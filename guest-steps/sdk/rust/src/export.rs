//! The macros that make a component of a step. In a native build they only check that the step can be a
//! component.

/// Makes a component of a [`Processor`](crate::Processor), named after its crate.
#[macro_export]
macro_rules! export_processor {
    ($step:ty) => {
        $crate::__export!($step, $crate::Processor, processor);
    };
}

/// Makes a component of a [`Reader`](crate::Reader), named after its crate.
#[macro_export]
macro_rules! export_reader {
    ($step:ty) => {
        $crate::__export!($step, $crate::Reader, reader);
    };
}

/// Makes a component of a [`PartitionedReader`](crate::PartitionedReader), named after its crate.
#[macro_export]
macro_rules! export_partitioned_reader {
    ($step:ty) => {
        const _: () = {
            const fn assert_can_be_split<T: $crate::PartitionedReader>() {}
            assert_can_be_split::<$step>();
        };
        $crate::__export!($step, $crate::Reader, reader partitioner);
    };
}

/// Makes a component of a [`Writer`](crate::Writer), named after its crate.
#[macro_export]
macro_rules! export_writer {
    ($step:ty) => {
        $crate::__export!($step, $crate::Writer, writer);
    };
}

/// Makes a component of a [`Tasklet`](crate::Tasklet), named after its crate.
#[macro_export]
macro_rules! export_tasklet {
    ($step:ty) => {
        $crate::__export!($step, $crate::Tasklet, task);
    };
}

/// Adds the answers of a [`FormDescriber`](crate::FormDescriber) to a component, beside the macro that makes the
/// component of its step.
#[macro_export]
macro_rules! export_form {
    ($form:ty) => {
        const _: () = {
            const fn assert_describes_forms<T: $crate::FormDescriber>() {}
            assert_describes_forms::<$form>();
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;

            impl $crate::component::ExportedForm for Component {
                type Form = $form;
            }

    $crate::raw::form::export!(Component with_types_in $crate::raw::form);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($step:ty, $trait:path, $($interface:ident)+) => {
        const _: () = {
            const fn assert_is_a_step<T: $trait>() {}
            assert_is_a_step::<$step>();
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;

            impl $crate::component::Exported for Component {
                type Step = $step;
                const CRATE: $crate::component::Crate = $crate::component::Crate {
                    name: env!("CARGO_CRATE_NAME"),
                    version: env!("CARGO_PKG_VERSION"),
                    description: env!("CARGO_PKG_DESCRIPTION"),
                };

                fn describe(about: $crate::Description) -> $crate::Description {
                    <$step as $trait>::describe(about)
                }
            }

    $crate::raw::describe::export!(Component with_types_in $crate::raw::describe);
    $($crate::raw::$interface::export!(Component with_types_in $crate::raw::$interface);)+
        };
    };
}
