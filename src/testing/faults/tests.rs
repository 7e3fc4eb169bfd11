//! The faults, over the embedded engine.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, Delete, KeySchemaElement, KeyType, Put,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TransactWriteItem,
};

use super::*;
use crate::store::embedded::Embedded;

/// A client to write behind the faults' back, the faults, and a client that goes through them and repeats nothing.
async fn table() -> (Client, Faults, Client) {
    let direct = Embedded::memory().unwrap().client();
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let create = direct.create_table().table_name("things").billing_mode(BillingMode::PayPerRequest);
    create
        .key_schema(KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap())
        .attribute_definitions(id.build().unwrap())
        .send()
        .await
        .unwrap();
    let faults = Faults::new();
    let once = Client::from_conf(direct.config().to_builder().retry_config(RetryConfig::disabled()).build());
    let client = faults.wrap(&once);
    (direct, faults, client)
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn get(client: &Client) -> impl Future<Output = Result<GetItemOutput, SdkError<GetItemError>>> + use<> {
    client.get_item().table_name("things").key("id", s("a")).send()
}

/// Adds to the number `n`.
fn add(client: &Client, by: i32) -> impl Future<Output = Result<UpdateItemOutput, SdkError<UpdateItemError>>> + use<> {
    let update = client.update_item().table_name("things").key("id", s("a"));
    let update = update.update_expression("ADD n :by");
    update.expression_attribute_values(":by", AttributeValue::N(by.to_string())).send()
}

fn transact(
    client: &Client,
    condition: &str,
) -> impl Future<Output = Result<(), SdkError<TransactWriteItemsError>>> + use<> {
    let put = Put::builder().table_name("things").item("id", s("b")).build().unwrap();
    let delete = Delete::builder().table_name("things").key("id", s("a")).condition_expression(condition);
    let transaction = client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(put).build())
        .transact_items(TransactWriteItem::builder().delete(delete.build().unwrap()).build());
    async { transaction.send().await.map(drop) }
}

async fn number(client: &Client) -> i32 {
    let item =
        client.get_item().table_name("things").key("id", s("a")).consistent_read(true).send().await.unwrap().item;
    item.map_or(0, |item| item["n"].as_n().unwrap().parse().unwrap())
}

#[track_caller]
fn assert_reset<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<T, SdkError<E>>) {
    let error = result.unwrap_err();
    assert!(matches!(&error, SdkError::DispatchFailure(failure) if failure.is_io()), "{error:?}");
}

#[tokio::test]
async fn each_refusal_has_its_own_code_and_does_not_reach_the_store() {
    let (direct, faults, client) = table().await;
    let cases = [
        (Effect::Throttle, 400, "ProvisionedThroughputExceededException"),
        (Effect::ThrottlingException, 400, "ThrottlingException"),
        (Effect::Status(500), 500, "InternalServerError"),
        (Effect::Status(503), 503, "InternalServerError"),
        (Effect::TransactionConflict, 400, "TransactionConflictException"),
        (Effect::CancelledWith("ThrottlingError"), 400, "ThrottlingException"),
        (Effect::TransactionInProgress, 400, "TransactionInProgressException"),
        (Effect::AccessDenied, 400, "AccessDeniedException"),
        (Effect::Exception("RequestLimitExceeded"), 400, "RequestLimitExceeded"),
    ];
    for (effect, status, code) in cases {
        faults.inject("UpdateItem", effect);
        let error = add(&client, 1).await.unwrap_err();
        assert_eq!((error.raw_response().unwrap().status().as_u16(), error.code().unwrap()), (status, code));
    }
    assert_eq!((number(&direct).await, faults.pending(), faults.failed()), (0, 0, 0));
}

#[tokio::test]
async fn a_transaction_is_cancelled_with_a_reason_for_its_last_action() {
    let (_, faults, client) = table().await;
    for (effect, code) in [
        (Effect::TransactionConflict, "TransactionConflict"),
        (Effect::CancelledWith("ProvisionedThroughputExceeded"), "ProvisionedThroughputExceeded"),
    ] {
        faults.inject("TransactWriteItems", effect);
        let error = transact(&client, "attribute_exists(id)").await.unwrap_err().into_service_error();
        let TransactWriteItemsError::TransactionCanceledException(error) = error else { panic!("{error:?}") };
        let codes: Vec<_> = error.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
        assert_eq!(codes, ["None", code]);
    }
}

#[tokio::test]
async fn a_fault_takes_the_requests_that_it_was_made_for_and_no_others() {
    let (_, faults, client) = table().await;
    faults.inject(On::writes().skip(1).times(2), Effect::Reset);
    get(&client).await.unwrap();
    add(&client, 1).await.unwrap();
    assert_reset(add(&client, 1).await);
    get(&client).await.unwrap();
    assert_reset(transact(&client, "attribute_exists(id)").await);
    add(&client, 1).await.unwrap();
    assert_eq!(faults.calls(), ["GetItem", "UpdateItem", "UpdateItem", "GetItem", "TransactWriteItems", "UpdateItem"],);
    assert_eq!(faults.count("UpdateItem"), 3);
}

#[tokio::test]
async fn faults_on_the_same_requests_come_one_after_the_other() {
    let (_, faults, client) = table().await;
    faults.inject("GetItem", Effect::Throttle);
    faults.inject(On::any().always(), Effect::Reset);
    assert_eq!(get(&client).await.unwrap_err().code(), Some("ProvisionedThroughputExceededException"));
    assert_reset(get(&client).await);
    assert_reset(get(&client).await);
    faults.clear();
    get(&client).await.unwrap();
}

#[tokio::test]
async fn garbage_is_a_service_error_without_a_code() {
    let (_, faults, client) = table().await;
    faults.inject("GetItem", Effect::Garbage);
    let error = get(&client).await.unwrap_err();
    assert!(matches!(&error, SdkError::ServiceError(_)), "{error:?}");
    assert_eq!((error.raw_response().unwrap().status().as_u16(), error.code()), (200, None));
}

#[tokio::test]
async fn a_stale_read_misses_unless_it_is_consistent() {
    let (_, faults, client) = table().await;
    add(&client, 1).await.unwrap();
    faults.inject("GetItem", Effect::StaleRead);
    assert_eq!(number(&client).await, 1);
    assert!(get(&client).await.unwrap().item.is_none());
    assert!(get(&client).await.unwrap().item.is_some());
}

#[tokio::test]
async fn a_lost_answer_is_of_a_request_that_was_carried_out() {
    let (direct, faults, client) = table().await;
    faults.inject("UpdateItem", Effect::LoseAnswer);
    assert_reset(add(&client, 1).await);
    assert_eq!(number(&direct).await, 1);
}

/// An increment under a condition that fails, and asks for the row.
async fn fail(client: &Client) -> UpdateItemError {
    let update = client.update_item().table_name("things").key("id", s("a")).update_expression("ADD n :by");
    let update = update.expression_attribute_values(":by", AttributeValue::N("1".into()));
    let update = update.condition_expression("attribute_not_exists(id)");
    let update = update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    update.send().await.unwrap_err().into_service_error()
}

/// The rows that a transaction brings whose condition on its second row fails, with the code of each action.
async fn fail_transaction(client: &Client) -> Vec<(String, bool)> {
    let put = |id: &str, condition: &str| {
        let put = Put::builder().table_name("things").item("id", s(id)).condition_expression(condition);
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder().put(put.build().unwrap()).build()
    };
    let [new, old] = [put("b", "attribute_not_exists(id)"), put("a", "attribute_not_exists(id)")];
    let error = client.transact_write_items().transact_items(new).transact_items(old).send().await.unwrap_err();
    let TransactWriteItemsError::TransactionCanceledException(error) = error.into_service_error() else { panic!() };
    let reasons = error.cancellation_reasons().iter();
    reasons.map(|reason| (reason.code().unwrap().to_owned(), reason.item().is_some())).collect()
}

#[tokio::test]
async fn a_failed_condition_brings_no_row_and_what_succeeds_is_as_ever() {
    let (direct, faults, client) = table().await;
    faults.inject(On::any().always(), Effect::WithoutRow);
    add(&client, 1).await.unwrap();
    assert_eq!(number(&client).await, 1);
    let UpdateItemError::ConditionalCheckFailedException(failed) = fail(&client).await else { panic!() };
    assert_eq!(failed.item, None);
    let reason = |code: &str, row| (code.to_owned(), row);
    let reasons = fail_transaction(&client).await;
    assert_eq!(reasons, [reason("None", false), reason("ConditionalCheckFailed", false)]);
    assert_eq!((number(&direct).await, faults.pending(), faults.failed()), (1, 0, 2));

    faults.clear();
    let UpdateItemError::ConditionalCheckFailedException(failed) = fail(&client).await else { panic!() };
    assert_eq!(failed.item.unwrap()["n"], AttributeValue::N("1".into()));
    let reasons = fail_transaction(&client).await;
    assert_eq!(reasons, [reason("None", false), reason("ConditionalCheckFailed", true)]);
}

#[tokio::test]
async fn a_server_that_brings_no_rows_meets_other_faults_too() {
    let (direct, faults, client) = table().await;
    faults.inject(On::any().always(), Effect::WithoutRow);
    faults.inject("UpdateItem", Effect::LoseAnswer);
    assert_reset(add(&client, 1).await);
    assert_eq!((number(&direct).await, faults.pending()), (1, 0));

    // It is injected after the other, and counts the request all the same.
    faults.clear();
    faults.inject("UpdateItem", Effect::Throttle);
    faults.inject("UpdateItem", Effect::WithoutRow);
    assert_eq!(add(&client, 1).await.unwrap_err().code(), Some("ProvisionedThroughputExceededException"));
    assert_eq!(faults.pending(), 0);
    let UpdateItemError::ConditionalCheckFailedException(failed) = fail(&client).await else { panic!() };
    assert!(failed.item.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_was_carried_out_or_not() {
    let (direct, faults, client) = table().await;
    let minute = Duration::from_secs(60);
    faults.inject("UpdateItem", Effect::Hang);
    tokio::time::timeout(minute, add(&client, 1)).await.unwrap_err();
    assert_eq!(number(&direct).await, 0);

    faults.inject("UpdateItem", Effect::LoseAnswerAndHang);
    tokio::time::timeout(minute, add(&client, 1)).await.unwrap_err();
    assert_eq!(number(&direct).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_delay_passes_on_tokios_clock() {
    let (_, faults, client) = table().await;
    faults.inject("UpdateItem", Effect::Delay(Duration::from_secs(60)));
    let start = tokio::time::Instant::now();
    add(&client, 1).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(number(&client).await, 1);
}

#[tokio::test]
async fn a_late_first_attempt_arrives_after_its_repeat() {
    let (direct, faults, client) = table().await;
    faults.inject("UpdateItem", Effect::LateFirst);
    assert_reset(add(&client, 1).await);
    get(&client).await.unwrap();
    assert_eq!(number(&direct).await, 0);
    add(&client, 10).await.unwrap();
    assert_eq!(number(&direct).await, 11);
}

#[tokio::test]
async fn a_late_request_arrives_when_the_test_says_so() {
    let (direct, faults, client) = table().await;
    faults.inject("UpdateItem", Effect::Late);
    assert_reset(add(&client, 1).await);
    add(&client, 10).await.unwrap();
    assert_eq!(number(&direct).await, 10);
    assert_eq!(faults.deliver().await, 1);
    assert_eq!(number(&direct).await, 11);
}

#[tokio::test]
async fn a_gate_holds_a_request_before_it_is_sent() {
    let (direct, faults, client) = table().await;
    let gate = faults.hold("UpdateItem");
    let request = tokio::spawn(add(&client, 1));
    gate.reached().await;
    assert_eq!(number(&direct).await, 0);
    gate.open();
    request.await.unwrap().unwrap();
    assert_eq!(number(&direct).await, 1);
}

#[tokio::test]
async fn a_gate_holds_an_answer_of_a_request_that_was_carried_out() {
    let (direct, faults, client) = table().await;
    let gate = faults.hold_answer(On::writes().times(2));
    let requests = [tokio::spawn(add(&client, 1)), tokio::spawn(add(&client, 10))];
    gate.reached_by(2).await;
    assert_eq!(number(&direct).await, 11);
    assert!(requests.iter().all(|request| !request.is_finished()));
    drop(gate);
    for request in requests {
        request.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_hook_slips_a_write_in_before_a_request() {
    let (direct, faults, client) = table().await;
    let behind = direct.clone();
    faults.before("GetItem", move || async move { drop(add(&behind, 5).await.unwrap()) });
    assert_eq!(faults.pending(), 1);
    assert_eq!(number(&client).await, 5);
    assert_eq!(number(&client).await, 5);
    assert_eq!(faults.pending(), 0);
}

#[tokio::test]
async fn capacity_is_what_the_store_reports() {
    let (direct, faults, client) = table().await;
    add(&client, 1).await.unwrap();
    assert_eq!(faults.capacity(), Capacity { read: 0.0, write: 1.0 });
    get(&client).await.unwrap();
    assert_eq!(faults.capacity(), Capacity { read: 0.5, write: 1.0 });
    number(&client).await;
    transact(&client, "attribute_exists(id)").await.unwrap();
    assert_eq!(faults.capacity(), Capacity { read: 1.5, write: 5.0 });

    assert_eq!(faults.failed(), 0);
    transact(&client, "attribute_exists(id)").await.unwrap_err();
    assert_eq!(faults.failed(), 1);

    faults.reset_counts();
    number(&direct).await;
    assert_eq!((faults.capacity(), faults.failed(), faults.calls().len()), (Capacity::default(), 0, 0));
}

#[tokio::test]
async fn the_sdk_repeats_what_it_would_repeat_of_a_real_store() {
    let (direct, faults, _) = table().await;
    let client = faults.wrap(&direct);
    faults.inject("GetItem", Effect::Status(500));
    get(&client).await.unwrap();
    assert_eq!(faults.calls(), ["GetItem"; 2]);
}
