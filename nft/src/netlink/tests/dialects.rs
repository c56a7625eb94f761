//! What versions of nft write otherwise than we do, and what is no other than ours for that.

use crate::netlink::attributes::{Attributes, Writer};
use crate::netlink::constants::*;
use crate::netlink::expression::Expression;
use crate::netlink::rule;
use crate::{Match, Rule, Statement, TableFamily};

/// `icmpv6 type 133-137`, with `range OPERATOR reg 1 133 LAST` in place of our two comparisons.
fn with_range(statement: &Statement, operator: u32, last: u8) -> Vec<u8> {
    let is_bound = |one: &Expression| matches!(one, Expression::Compare { operator: NFT_CMP_GTE | NFT_CMP_LTE, .. });
    let mut message = Writer::default();
    message.nested(NFTA_RULE_EXPRESSIONS, |list| {
        let expressions = rule::expressions(statement, TableFamily::Inet);
        expressions.iter().filter(|one| !is_bound(one)).for_each(|one| one.write(list));
        list.nested(NFTA_LIST_ELEM, |element| {
            element.text(NFTA_EXPR_NAME, "range");
            element.nested(NFTA_EXPR_DATA, |data| {
                data.be32(NFTA_RANGE_SREG, NFT_REG_1);
                data.be32(NFTA_RANGE_OP, operator);
                data.nested(NFTA_RANGE_FROM_DATA, |value| value.bytes(NFTA_DATA_VALUE, &[133]));
                data.nested(NFTA_RANGE_TO_DATA, |value| value.bytes(NFTA_DATA_VALUE, &[last]));
            });
        });
    });
    message.into_bytes()
}

fn solicitations() -> Statement {
    Statement { matches: vec![Match::Icmpv6Types { first: 133, last: 137 }], ..Statement::default() }
}

#[test]
fn a_range_is_read_as_the_two_comparisons_that_it_stands_for() {
    let bytes = with_range(&solicitations(), NFT_RANGE_EQ, 137);
    let (read, _) = rule::read(Attributes(&bytes), TableFamily::Inet).unwrap();
    assert_eq!(read, Rule::Own(solicitations()));
}

#[test]
fn a_range_that_is_another_or_turned_round_is_another_rule() {
    for (operator, last) in [(NFT_RANGE_EQ + 1, 137), (NFT_RANGE_EQ, 138)] {
        let bytes = with_range(&solicitations(), operator, last);
        let (read, _) = rule::read(Attributes(&bytes), TableFamily::Inet).unwrap();
        assert_ne!(read, Rule::Own(solicitations()), "{operator} {last}");
    }
}

#[test]
fn whether_there_is_a_route_may_be_asked_in_one_byte() {
    let statement = Statement { matches: vec![Match::FibMissing], ..Statement::default() };
    let read = |length: usize, value: u8| {
        let mut message = Writer::default();
        message.nested(NFTA_RULE_EXPRESSIONS, |list| {
            for mut expression in rule::expressions(&statement, TableFamily::Inet) {
                if let Expression::Compare { data, .. } = &mut expression {
                    *data = vec![value; length];
                }
                expression.write(list);
            }
        });
        rule::read(Attributes(&message.into_bytes()), TableFamily::Inet).unwrap().0
    };
    assert_eq!(read(4, 0), Rule::Own(statement.clone()));
    assert_eq!(read(1, 0), Rule::Own(statement.clone()));
    assert_ne!(read(1, 1), Rule::Own(statement));
}
