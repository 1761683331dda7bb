//! What an answer does not have is left out; nothing is null. utoipa takes every `Option` for both.

use utoipa::openapi::{
    Content, OpenApi, RefOr, Schema,
    path::{Operation, Parameter},
    schema::{SchemaType, Type},
};

/// Takes null out of every schema that has a name, of every parameter, and of every body that may be left out.
pub(super) fn describe(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.values_mut().for_each(never_null);
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
            schemas(operation).for_each(never_null);
        }
    }
}

/// What an operation's parameters and bodies are.
fn schemas(operation: &mut Operation) -> impl Iterator<Item = &mut RefOr<Schema>> {
    let parameters = operation.parameters.iter_mut().flatten().filter_map(|parameter| match parameter {
        RefOr::T(Parameter { schema, .. }) => schema.as_mut(),
        RefOr::Ref(_) => None,
    });
    let body = operation.request_body.as_mut().and_then(|body| match body {
        RefOr::T(body) => Some(body.content.values_mut()),
        RefOr::Ref(_) => None,
    });
    let bodies = body.into_iter().flatten().filter_map(|content| match content {
        RefOr::T(Content { schema, .. }) => schema.as_mut(),
        RefOr::Ref(_) => None,
    });
    parameters.chain(bodies)
}

fn never_null(schema: &mut RefOr<Schema>) {
    let RefOr::T(inner) = schema else { return };
    match inner {
        Schema::Object(object) => {
            drop_null(&mut object.schema_type);
            object.properties.values_mut().for_each(never_null);
        }
        Schema::Array(array) => drop_null(&mut array.schema_type),
        Schema::AllOf(all) => all.items.iter_mut().for_each(never_null),
        Schema::OneOf(one) => {
            one.items.retain(|item| !matches!(item, RefOr::T(Schema::Object(o)) if o.schema_type == Type::Null.into()));
            if let [only] = &mut one.items[..] {
                *schema = std::mem::take(only);
            }
        }
        _ => {}
    }
}

fn drop_null(types: &mut SchemaType) {
    if let SchemaType::Array(several) = types {
        several.retain(|one| *one != Type::Null);
        if let [only] = &several[..] {
            *types = only.clone().into();
        }
    }
}
