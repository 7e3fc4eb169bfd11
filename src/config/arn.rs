//! A table's ARN: `arn:PARTITION:dynamodb:REGION:ACCOUNT:table/NAME`.

/// The parts of a table's ARN that matter here.
pub(crate) struct TableArn<'a> {
    pub(crate) region: &'a str,
    pub(crate) table: &'a str,
}

impl<'a> TableArn<'a> {
    /// Reads a text; `None` where it is no ARN of a table. The table's name is not looked at.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next();
        let (arn, partition, service) = (part()?, part()?, part()?);
        let (region, account, resource) = (part()?, part()?, part()?);
        let is_account = account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit());
        let is_region = !region.is_empty() && region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let is_table = arn == "arn" && partition.starts_with("aws") && service == "dynamodb" && is_region && is_account;
        Some(Self { region, table: resource.strip_prefix("table/")? }).filter(|_| is_table)
    }
}
