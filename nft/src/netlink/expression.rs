use std::num::NonZeroU32;

use super::attributes::{Attribute, Attributes, Malformed, Writer};
use super::constants::*;
use super::verdict;
use crate::{CounterValue, Limit, Log, LogPrefix, Name, Verdict};

/// An instruction of a rule: the few that our rules are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// `ct load KEY => reg REGISTER`, and of what differs by it, `dir DIRECTION`.
    Ct { key: u32, direction: Option<u8>, register: u32 },
    /// `ct set KEY with reg 1`.
    CtSet { key: u32 },
    /// `reg 1 = ( reg 1 & mask ) ^ xor`, of four bytes.
    Bitwise { mask: u32, xor: u32 },
    /// `reg 1 = ( reg 1 & mask ) ^ 0`, of one byte.
    Mask(u8),
    /// `meta load KEY => reg REGISTER`.
    Meta { key: u32, register: u32 },
    /// `payload load LENGTHb @ BASE + OFFSET => reg REGISTER`.
    Payload { base: u32, offset: u32, length: u32, register: u32 },
    /// `cmp OP reg 1 DATA`.
    Compare { operator: u32, data: Vec<u8> },
    /// `lookup reg 1 set SET`.
    Lookup { set: Name, result: Lookup },
    /// `fib FLAGS oif present => reg 1`.
    Fib { flags: u32 },
    /// `counter`.
    Counter(CounterValue),
    /// `objref type 1 name NAME`: a named counter.
    CounterReference(Name),
    /// `limit rate RATE/second burst BURST type packets flags 0x0`.
    Limit(Limit),
    /// `log prefix PREFIX group GROUP snaplen SNAPLEN qthreshold 0`.
    Log(Log),
    /// `immediate reg 0 VERDICT`.
    Verdict(Verdict),
}

/// What becomes of what is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// The rule goes on where it is there.
    Found,
    /// The rule goes on where it is not there.
    Missing,
    /// `dreg 0`: the verdict of a verdict map.
    Verdict,
}

/// The unit of a limit's rate, in seconds.
const SECOND: u64 = 1;

impl Expression {
    /// Writes it, as an element of a rule's list.
    pub(super) fn write(&self, list: &mut Writer) {
        list.nested(NFTA_LIST_ELEM, |element| {
            element.text(NFTA_EXPR_NAME, self.name());
            element.nested(NFTA_EXPR_DATA, |data| self.write_data(data));
        });
    }

    /// Reads an element of a rule's list: one of ours, or one that says what several of ours say. `None`: it is neither.
    pub(super) fn read(element: Attribute<'_>) -> Result<Option<Vec<Self>>, Malformed> {
        let Some(name) = element.nested().find(NFTA_EXPR_NAME)? else { return Ok(None) };
        let data = element.nested().find(NFTA_EXPR_DATA)?;
        let mut fields = Fields::read(data.map_or(Attributes(&[]), |data| data.nested()))?;
        let expressions = match &*name.text() {
            "range" => Self::from_range(&mut fields),
            name => Self::from_fields(name, &mut fields).map(|expression| vec![expression]),
        };
        Ok(expressions.filter(|_| fields.is_empty()))
    }

    /// `range eq reg 1 FROM TO`, as nft from 1.1 on writes what it wrote as two comparisons before, and we do.
    fn from_range(fields: &mut Fields<'_>) -> Option<Vec<Self>> {
        let plain = fields.is(NFTA_RANGE_SREG, NFT_REG_1) && fields.is(NFTA_RANGE_OP, NFT_RANGE_EQ);
        let (from, to) = (fields.value(NFTA_RANGE_FROM_DATA)?, fields.value(NFTA_RANGE_TO_DATA)?);
        let bounds = [(NFT_CMP_GTE, from), (NFT_CMP_LTE, to)];
        plain.then(|| bounds.map(|(operator, data)| Self::Compare { operator, data: data.to_vec() }).into())
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Ct { .. } | Self::CtSet { .. } => "ct",
            Self::Bitwise { .. } | Self::Mask(_) => "bitwise",
            Self::Fib { .. } => "fib",
            Self::Meta { .. } => "meta",
            Self::Payload { .. } => "payload",
            Self::Compare { .. } => "cmp",
            Self::Lookup { .. } => "lookup",
            Self::Counter(_) => "counter",
            Self::CounterReference(_) => "objref",
            Self::Limit(_) => "limit",
            Self::Log(_) => "log",
            Self::Verdict(_) => "immediate",
        }
    }

    fn write_data(&self, data: &mut Writer) {
        match self {
            Self::Ct { key, direction, register } => {
                data.be32(NFTA_CT_KEY, *key);
                data.be32(NFTA_CT_DREG, *register);
                if let Some(direction) = direction {
                    data.bytes(NFTA_CT_DIRECTION, &[*direction]);
                }
            }
            Self::CtSet { key } => {
                data.be32(NFTA_CT_KEY, *key);
                data.be32(NFTA_CT_SREG, NFT_REG_1);
            }
            Self::Bitwise { mask, xor } => {
                data.be32(NFTA_BITWISE_SREG, NFT_REG_1);
                data.be32(NFTA_BITWISE_DREG, NFT_REG_1);
                data.be32(NFTA_BITWISE_LEN, size_of_val(mask) as u32);
                data.nested(NFTA_BITWISE_MASK, |value| value.bytes(NFTA_DATA_VALUE, &mask.to_ne_bytes()));
                data.nested(NFTA_BITWISE_XOR, |value| value.bytes(NFTA_DATA_VALUE, &xor.to_ne_bytes()));
            }
            Self::Mask(mask) => {
                data.be32(NFTA_BITWISE_SREG, NFT_REG_1);
                data.be32(NFTA_BITWISE_DREG, NFT_REG_1);
                data.be32(NFTA_BITWISE_LEN, 1);
                data.nested(NFTA_BITWISE_MASK, |value| value.bytes(NFTA_DATA_VALUE, &[*mask]));
                data.nested(NFTA_BITWISE_XOR, |value| value.bytes(NFTA_DATA_VALUE, &[0]));
            }
            Self::Fib { flags } => {
                data.be32(NFTA_FIB_DREG, NFT_REG_1);
                data.be32(NFTA_FIB_RESULT, NFT_FIB_RESULT_OIF);
                data.be32(NFTA_FIB_FLAGS, *flags);
            }
            Self::Meta { key, register } => {
                data.be32(NFTA_META_KEY, *key);
                data.be32(NFTA_META_DREG, *register);
            }
            Self::Payload { base, offset, length, register } => {
                data.be32(NFTA_PAYLOAD_DREG, *register);
                data.be32(NFTA_PAYLOAD_BASE, *base);
                data.be32(NFTA_PAYLOAD_OFFSET, *offset);
                data.be32(NFTA_PAYLOAD_LEN, *length);
            }
            Self::Compare { operator, data: value } => {
                data.be32(NFTA_CMP_SREG, NFT_REG_1);
                data.be32(NFTA_CMP_OP, *operator);
                data.nested(NFTA_CMP_DATA, |nest| nest.bytes(NFTA_DATA_VALUE, value));
            }
            Self::Lookup { set, result } => {
                data.text(NFTA_LOOKUP_SET, set.as_str());
                data.be32(NFTA_LOOKUP_SREG, NFT_REG_1);
                match result {
                    Lookup::Found => {}
                    Lookup::Missing => data.be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV),
                    Lookup::Verdict => data.be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT),
                }
            }
            Self::Counter(_) => {}
            Self::CounterReference(name) => {
                data.be32(NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
                data.text(NFTA_OBJREF_IMM_NAME, name.as_str());
            }
            Self::Limit(Limit { rate, burst }) => {
                data.be64(NFTA_LIMIT_RATE, u64::from(rate.get()));
                data.be64(NFTA_LIMIT_UNIT, SECOND);
                data.be32(NFTA_LIMIT_BURST, burst.get());
                data.be32(NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
                data.be32(NFTA_LIMIT_FLAGS, 0);
            }
            Self::Log(Log { prefix, group, snaplen }) => {
                data.be16(NFTA_LOG_GROUP, *group);
                data.text(NFTA_LOG_PREFIX, prefix.as_str());
                if let Some(snaplen) = snaplen {
                    data.be32(NFTA_LOG_SNAPLEN, snaplen.get());
                }
            }
            Self::Verdict(verdict) => {
                data.be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
                data.nested(NFTA_IMMEDIATE_DATA, |nest| verdict::write(nest, verdict));
            }
        }
    }

    fn from_fields(name: &str, fields: &mut Fields<'_>) -> Option<Self> {
        match name {
            "ct" => {
                let key = fields.be32(NFTA_CT_KEY)?;
                if let Some(source) = fields.take(NFTA_CT_SREG) {
                    return (source.be32() == Ok(NFT_REG_1)).then_some(Self::CtSet { key });
                }
                let direction = match fields.take(NFTA_CT_DIRECTION) {
                    Some(direction) => Some(*direction.value.first()?),
                    None => None,
                };
                Some(Self::Ct { key, direction, register: fields.be32(NFTA_CT_DREG)? })
            }
            "bitwise" => {
                let registers = fields.is(NFTA_BITWISE_SREG, NFT_REG_1) && fields.is(NFTA_BITWISE_DREG, NFT_REG_1);
                let plain = registers && fields.is_or_absent(NFTA_BITWISE_OP, 0);
                let length = fields.be32(NFTA_BITWISE_LEN).filter(|_| plain)?;
                let (mask, xor) = (fields.value(NFTA_BITWISE_MASK)?, fields.value(NFTA_BITWISE_XOR)?);
                let number = |bytes: &[u8]| Some(u32::from_ne_bytes(bytes.try_into().ok()?));
                match (length, mask, xor) {
                    (1, [mask], [0]) => Some(Self::Mask(*mask)),
                    (4, mask, xor) => Some(Self::Bitwise { mask: number(mask)?, xor: number(xor)? }),
                    _ => None,
                }
            }
            "fib" => {
                let flags = fields.be32(NFTA_FIB_FLAGS)?;
                let plain = fields.is(NFTA_FIB_DREG, NFT_REG_1) && fields.is(NFTA_FIB_RESULT, NFT_FIB_RESULT_OIF);
                plain.then_some(Self::Fib { flags })
            }
            "meta" => Some(Self::Meta { key: fields.be32(NFTA_META_KEY)?, register: fields.be32(NFTA_META_DREG)? }),
            "payload" => Some(Self::Payload {
                base: fields.be32(NFTA_PAYLOAD_BASE)?,
                offset: fields.be32(NFTA_PAYLOAD_OFFSET)?,
                length: fields.be32(NFTA_PAYLOAD_LEN)?,
                register: fields.be32(NFTA_PAYLOAD_DREG)?,
            }),
            "cmp" => {
                let data = fields.value(NFTA_CMP_DATA)?.to_vec();
                let operator = fields.be32(NFTA_CMP_OP)?;
                fields.is(NFTA_CMP_SREG, NFT_REG_1).then_some(Self::Compare { operator, data })
            }
            "lookup" => {
                let set = Name::new(&*fields.take(NFTA_LOOKUP_SET)?.text()).ok()?;
                let flags = fields.take(NFTA_LOOKUP_FLAGS).map_or(Ok(0), |flags| flags.be32()).ok()?;
                let verdict = fields.take(NFTA_LOOKUP_DREG).map(|register| register.be32());
                let result = match (flags, verdict) {
                    (0, None) => Lookup::Found,
                    (NFT_LOOKUP_F_INV, None) => Lookup::Missing,
                    (0, Some(Ok(NFT_REG_VERDICT))) => Lookup::Verdict,
                    _ => return None,
                };
                fields.is(NFTA_LOOKUP_SREG, NFT_REG_1).then_some(Self::Lookup { set, result })
            }
            "counter" => Some(Self::Counter(CounterValue {
                packets: fields.be64(NFTA_COUNTER_PACKETS)?,
                bytes: fields.be64(NFTA_COUNTER_BYTES)?,
            })),
            "objref" => {
                let name = Name::new(&*fields.take(NFTA_OBJREF_IMM_NAME)?.text()).ok()?;
                fields.is(NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER).then_some(Self::CounterReference(name))
            }
            "limit" => {
                let rate = NonZeroU32::new(fields.be64(NFTA_LIMIT_RATE)?.try_into().ok()?)?;
                let burst = NonZeroU32::new(fields.be32(NFTA_LIMIT_BURST)?)?;
                let plain = fields.be64(NFTA_LIMIT_UNIT) == Some(SECOND)
                    && fields.is(NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS)
                    && fields.is(NFTA_LIMIT_FLAGS, 0);
                plain.then_some(Self::Limit(Limit { rate, burst }))
            }
            "log" => {
                let group = fields.take(NFTA_LOG_GROUP)?.be16().ok()?;
                let prefix = LogPrefix::new(&*fields.take(NFTA_LOG_PREFIX)?.text()).ok()?;
                let snaplen = match fields.take(NFTA_LOG_SNAPLEN) {
                    Some(snaplen) => Some(NonZeroU32::new(snaplen.be32().ok()?)?),
                    None => None,
                };
                Some(Self::Log(Log { prefix, group, snaplen }))
            }
            "immediate" => {
                let verdict = verdict::read(fields.take(NFTA_IMMEDIATE_DATA)?.nested()).ok()??;
                fields.is(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT).then_some(Self::Verdict(verdict))
            }
            _ => None,
        }
    }
}

/// The attributes of an expression, each to be taken once: what is left over was not understood.
struct Fields<'a>(Vec<Attribute<'a>>);

impl<'a> Fields<'a> {
    fn read(attributes: Attributes<'a>) -> Result<Self, Malformed> {
        attributes.collect::<Result<_, _>>().map(Self)
    }

    fn take(&mut self, kind: u16) -> Option<Attribute<'a>> {
        let index = self.0.iter().position(|attribute| attribute.kind == kind)?;
        Some(self.0.swap_remove(index))
    }

    fn be32(&mut self, kind: u16) -> Option<u32> {
        self.take(kind)?.be32().ok()
    }

    fn be64(&mut self, kind: u16) -> Option<u64> {
        self.take(kind)?.be64().ok()
    }

    fn value(&mut self, kind: u16) -> Option<&'a [u8]> {
        Some(self.take(kind)?.nested().find(NFTA_DATA_VALUE).ok()??.value)
    }

    fn is(&mut self, kind: u16, value: u32) -> bool {
        self.be32(kind) == Some(value)
    }

    fn is_or_absent(&mut self, kind: u16, value: u32) -> bool {
        self.take(kind).is_none_or(|attribute| attribute.be32() == Ok(value))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
