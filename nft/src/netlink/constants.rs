//! Numbers of the kernel's interface, under the names of `linux/netlink.h`, `linux/netfilter/nfnetlink.h`,
//! `linux/netfilter/nf_tables.h`, `linux/netfilter/nfnetlink_conntrack.h` and `linux/netfilter/nfnetlink_log.h`.

pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;

pub(super) const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_ACK: u16 = 0x4;
pub(super) const NLM_F_DUMP_INTR: u16 = 0x10;
pub(super) const NLM_F_CAPPED: u16 = 0x100;
pub(super) const NLM_F_ACK_TLVS: u16 = 0x200;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_APPEND: u16 = 0x800;

pub(super) const NLA_F_NESTED: u16 = 0x8000;
pub(super) const NLA_TYPE_MASK: u16 = 0x3fff;

pub(super) const NLMSGERR_ATTR_MSG: u16 = 1;
pub(super) const NLMSGERR_ATTR_OFFS: u16 = 2;

pub(super) const NFNL_BATCH_GENID: u16 = 1;
pub(super) const NFNLGRP_CONNTRACK_NEW: u32 = 1;
pub(super) const NFNLGRP_CONNTRACK_DESTROY: u32 = 3;
pub(super) const NFNLGRP_NFTABLES: u32 = 7;
pub(super) const NFNL_SUBSYS_CTNETLINK: u8 = 1;
pub(super) const NFNL_SUBSYS_ULOG: u8 = 4;
pub(super) const NFNL_SUBSYS_NFTABLES: u8 = 10;

pub(super) const NFT_MSG_NEWTABLE: u8 = 0;
pub(super) const NFT_MSG_GETTABLE: u8 = 1;
pub(super) const NFT_MSG_DELTABLE: u8 = 2;
pub(super) const NFT_MSG_NEWCHAIN: u8 = 3;
pub(super) const NFT_MSG_GETCHAIN: u8 = 4;
pub(super) const NFT_MSG_DELCHAIN: u8 = 5;
pub(super) const NFT_MSG_NEWRULE: u8 = 6;
pub(super) const NFT_MSG_GETRULE: u8 = 7;
pub(super) const NFT_MSG_DELRULE: u8 = 8;
pub(super) const NFT_MSG_NEWSET: u8 = 9;
pub(super) const NFT_MSG_GETSET: u8 = 10;
pub(super) const NFT_MSG_DELSET: u8 = 11;
pub(super) const NFT_MSG_NEWSETELEM: u8 = 12;
pub(super) const NFT_MSG_GETSETELEM: u8 = 13;
pub(super) const NFT_MSG_DELSETELEM: u8 = 14;
pub(super) const NFT_MSG_NEWGEN: u8 = 15;
pub(super) const NFT_MSG_GETGEN: u8 = 16;
pub(super) const NFT_MSG_NEWOBJ: u8 = 18;
pub(super) const NFT_MSG_GETOBJ: u8 = 19;
pub(super) const NFT_MSG_DELOBJ: u8 = 20;
pub(super) const NFT_MSG_NEWFLOWTABLE: u8 = 22;
pub(super) const NFT_MSG_GETFLOWTABLE: u8 = 23;

pub(super) const NFTA_LIST_ELEM: u16 = 1;

pub(super) const NFTA_GEN_ID: u16 = 1;
pub(super) const NFTA_GEN_PROC_PID: u16 = 2;
pub(super) const NFTA_GEN_PROC_NAME: u16 = 3;

pub(super) const NFT_TABLE_F_DORMANT: u32 = 0x1;
pub(super) const NFT_TABLE_F_OWNER: u32 = 0x2;
pub(super) const NFT_TABLE_F_PERSIST: u32 = 0x4;
pub(super) const NFTA_TABLE_NAME: u16 = 1;
pub(super) const NFTA_TABLE_FLAGS: u16 = 2;
pub(super) const NFTA_TABLE_USERDATA: u16 = 6;
pub(super) const NFTA_TABLE_OWNER: u16 = 7;

pub(super) const NFT_CHAIN_BASE: u32 = 0x1;
pub(super) const NFT_CHAIN_BINDING: u32 = 0x4;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
pub(super) const NFTA_CHAIN_TYPE: u16 = 7;
pub(super) const NFTA_CHAIN_FLAGS: u16 = 10;
pub(super) const NFTA_CHAIN_USERDATA: u16 = 12;
pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
pub(super) const NFTA_HOOK_PRIORITY: u16 = 2;
pub(super) const NF_INET_PRE_ROUTING: u32 = 0;
pub(super) const NF_INET_LOCAL_IN: u32 = 1;
pub(super) const NF_INET_FORWARD: u32 = 2;
pub(super) const NF_DROP: i32 = 0;
pub(super) const NF_ACCEPT: i32 = 1;

pub(super) const NFTA_RULE_CHAIN: u16 = 2;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(super) const NFTA_RULE_COMPAT: u16 = 5;
pub(super) const NFTA_RULE_USERDATA: u16 = 7;

pub(super) const NFT_SET_ANONYMOUS: u32 = 0x1;
pub(super) const NFT_SET_INTERVAL: u32 = 0x4;
pub(super) const NFT_SET_MAP: u32 = 0x8;
pub(super) const NFT_DATA_VERDICT: u32 = 0xffff_ff00;
pub(super) const NFTA_SET_NAME: u16 = 2;
pub(super) const NFTA_SET_FLAGS: u16 = 3;
pub(super) const NFTA_SET_KEY_TYPE: u16 = 4;
pub(super) const NFTA_SET_KEY_LEN: u16 = 5;
pub(super) const NFTA_SET_DATA_TYPE: u16 = 6;
pub(super) const NFTA_SET_DATA_LEN: u16 = 7;
pub(super) const NFTA_SET_POLICY: u16 = 8;
pub(super) const NFTA_SET_DESC: u16 = 9;
pub(super) const NFTA_SET_ID: u16 = 10;
pub(super) const NFTA_SET_TIMEOUT: u16 = 11;
pub(super) const NFTA_SET_GC_INTERVAL: u16 = 12;
pub(super) const NFTA_SET_USERDATA: u16 = 13;
pub(super) const NFTA_SET_OBJ_TYPE: u16 = 15;
pub(super) const NFTA_SET_EXPR: u16 = 17;
pub(super) const NFTA_SET_EXPRESSIONS: u16 = 18;
pub(super) const NFTA_SET_DESC_SIZE: u16 = 1;

pub(super) const NFT_SET_ELEM_INTERVAL_END: u32 = 0x1;
pub(super) const NFTA_SET_ELEM_KEY: u16 = 1;
pub(super) const NFTA_SET_ELEM_DATA: u16 = 2;
pub(super) const NFTA_SET_ELEM_FLAGS: u16 = 3;
pub(super) const NFTA_SET_ELEM_USERDATA: u16 = 6;
pub(super) const NFTA_SET_ELEM_PAD: u16 = 8;
pub(super) const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
pub(super) const NFTA_SET_ELEM_LIST_SET: u16 = 2;
pub(super) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;

pub(super) const NFTA_OBJ_NAME: u16 = 2;
pub(super) const NFTA_OBJ_TYPE: u16 = 3;
pub(super) const NFTA_OBJ_DATA: u16 = 4;
pub(super) const NFTA_OBJ_USERDATA: u16 = 8;
pub(super) const NFT_OBJECT_COUNTER: u32 = 1;
pub(super) const NFTA_FLOWTABLE_NAME: u16 = 2;

pub(super) const NFTA_DATA_VALUE: u16 = 1;
pub(super) const NFTA_DATA_VERDICT: u16 = 2;
pub(super) const NFTA_VERDICT_CODE: u16 = 1;
pub(super) const NFTA_VERDICT_CHAIN: u16 = 2;
pub(super) const NFT_JUMP: i32 = -3;
pub(super) const NFT_GOTO: i32 = -4;

pub(super) const NFTA_EXPR_NAME: u16 = 1;
pub(super) const NFTA_EXPR_DATA: u16 = 2;
pub(super) const NFT_REG_VERDICT: u32 = 0;
pub(super) const NFT_REG_1: u32 = 1;
pub(super) const NFT_REG_2: u32 = 2;
pub(super) const NFT_REG32_01: u32 = 9;
pub(super) const NFT_REG32_02: u32 = 10;
pub(super) const NFT_REG32_05: u32 = 13;

pub(super) const NFTA_META_DREG: u16 = 1;
pub(super) const NFTA_META_KEY: u16 = 2;
pub(super) const NFT_META_PROTOCOL: u32 = 1;
pub(super) const NFT_META_IIFNAME: u32 = 6;
pub(super) const NFT_META_OIFNAME: u32 = 7;
pub(super) const NFT_META_NFPROTO: u32 = 15;
pub(super) const NFT_META_PKTTYPE: u32 = 19;
pub(super) const PACKET_BROADCAST: u8 = 1;
pub(super) const PACKET_MULTICAST: u8 = 2;
pub(super) const NFT_META_L4PROTO: u32 = 16;

pub(super) const NFTA_CT_DREG: u16 = 1;
pub(super) const NFTA_CT_KEY: u16 = 2;
pub(super) const NFTA_CT_DIRECTION: u16 = 3;
pub(super) const NFTA_CT_SREG: u16 = 4;
pub(super) const NFT_CT_STATE: u32 = 0;
pub(super) const NFT_CT_MARK: u32 = 3;
pub(super) const NFT_CT_PROTO_SRC: u32 = 11;
pub(super) const NFT_CT_SRC_IP: u32 = 19;
pub(super) const NFT_CT_SRC_IP6: u32 = 21;
pub(super) const IP_CT_DIR_ORIGINAL: u8 = 0;
pub(super) const IP_CT_DIR_REPLY: u8 = 1;
pub(super) const NF_CT_STATE_INVALID: u32 = 1;
pub(super) const NF_CT_STATE_ESTABLISHED: u32 = 2;
pub(super) const NF_CT_STATE_RELATED: u32 = 4;
pub(super) const NF_CT_STATE_NEW: u32 = 8;
pub(super) const NF_CT_STATE_UNTRACKED: u32 = 64;

pub(super) const NFTA_PAYLOAD_DREG: u16 = 1;
pub(super) const NFTA_PAYLOAD_BASE: u16 = 2;
pub(super) const NFTA_PAYLOAD_OFFSET: u16 = 3;
pub(super) const NFTA_PAYLOAD_LEN: u16 = 4;
pub(super) const NFT_PAYLOAD_LL_HEADER: u32 = 0;
pub(super) const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
pub(super) const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;

pub(super) const NFTA_CMP_SREG: u16 = 1;
pub(super) const NFTA_CMP_OP: u16 = 2;
pub(super) const NFTA_CMP_DATA: u16 = 3;
pub(super) const NFT_CMP_EQ: u32 = 0;
pub(super) const NFT_CMP_NEQ: u32 = 1;
pub(super) const NFT_CMP_LTE: u32 = 3;
pub(super) const NFT_CMP_GTE: u32 = 5;

pub(super) const NFTA_RANGE_SREG: u16 = 1;
pub(super) const NFTA_RANGE_OP: u16 = 2;
pub(super) const NFTA_RANGE_FROM_DATA: u16 = 3;
pub(super) const NFTA_RANGE_TO_DATA: u16 = 4;
pub(super) const NFT_RANGE_EQ: u32 = 0;

pub(super) const NFTA_BITWISE_SREG: u16 = 1;
pub(super) const NFTA_BITWISE_DREG: u16 = 2;
pub(super) const NFTA_BITWISE_LEN: u16 = 3;
pub(super) const NFTA_BITWISE_MASK: u16 = 4;
pub(super) const NFTA_BITWISE_XOR: u16 = 5;
pub(super) const NFTA_BITWISE_OP: u16 = 6;

pub(super) const NFTA_LOOKUP_SET: u16 = 1;
pub(super) const NFTA_LOOKUP_SREG: u16 = 2;
pub(super) const NFTA_LOOKUP_DREG: u16 = 3;
pub(super) const NFTA_LOOKUP_FLAGS: u16 = 5;
pub(super) const NFT_LOOKUP_F_INV: u32 = 1;

pub(super) const NFTA_FIB_DREG: u16 = 1;
pub(super) const NFTA_FIB_RESULT: u16 = 2;
pub(super) const NFTA_FIB_FLAGS: u16 = 3;
pub(super) const NFT_FIB_RESULT_OIF: u32 = 1;
pub(super) const NFTA_FIB_F_SADDR: u32 = 0x1;
pub(super) const NFTA_FIB_F_IIF: u32 = 0x8;
pub(super) const NFTA_FIB_F_PRESENT: u32 = 0x20;

pub(super) const NFTA_IMMEDIATE_DREG: u16 = 1;
pub(super) const NFTA_IMMEDIATE_DATA: u16 = 2;

pub(super) const NFTA_COUNTER_BYTES: u16 = 1;
pub(super) const NFTA_COUNTER_PACKETS: u16 = 2;

pub(super) const NFTA_OBJREF_IMM_TYPE: u16 = 1;
pub(super) const NFTA_OBJREF_IMM_NAME: u16 = 2;

pub(super) const NFTA_LIMIT_RATE: u16 = 1;
pub(super) const NFTA_LIMIT_UNIT: u16 = 2;
pub(super) const NFTA_LIMIT_BURST: u16 = 3;
pub(super) const NFTA_LIMIT_TYPE: u16 = 4;
pub(super) const NFTA_LIMIT_FLAGS: u16 = 5;
pub(super) const NFT_LIMIT_PKTS: u32 = 0;

pub(super) const NFTA_LOG_GROUP: u16 = 1;
pub(super) const NFTA_LOG_PREFIX: u16 = 2;
pub(super) const NFTA_LOG_SNAPLEN: u16 = 3;

pub(super) const IPCTNL_MSG_CT_NEW: u8 = 0;
pub(super) const IPCTNL_MSG_CT_GET: u8 = 1;
pub(super) const IPCTNL_MSG_CT_DELETE: u8 = 2;
pub(super) const CTA_TUPLE_ORIG: u16 = 1;
pub(super) const CTA_TUPLE_REPLY: u16 = 2;
pub(super) const CTA_PROTOINFO: u16 = 4;
pub(super) const CTA_PROTOINFO_TCP: u16 = 1;
pub(super) const CTA_PROTOINFO_TCP_STATE: u16 = 1;
pub(super) const CTA_PROTOINFO_SCTP: u16 = 3;
pub(super) const CTA_PROTOINFO_SCTP_STATE: u16 = 1;
pub(super) const TCP_CONNTRACK_LAST_ACK: u8 = 6;
pub(super) const TCP_CONNTRACK_CLOSE: u8 = 8;
pub(super) const SCTP_CONNTRACK_CLOSED: u8 = 1;
pub(super) const SCTP_CONNTRACK_SHUTDOWN_ACK_SENT: u8 = 7;
pub(super) const CTA_MARK: u16 = 8;
pub(super) const CTA_COUNTERS_ORIG: u16 = 9;
pub(super) const CTA_COUNTERS_REPLY: u16 = 10;
pub(super) const CTA_COUNTERS_PACKETS: u16 = 1;
pub(super) const CTA_COUNTERS_BYTES: u16 = 2;
pub(super) const CTA_ID: u16 = 12;
pub(super) const CTA_ZONE: u16 = 18;
pub(super) const CTA_TIMESTAMP: u16 = 20;
pub(super) const CTA_TIMESTAMP_START: u16 = 1;
pub(super) const CTA_MARK_MASK: u16 = 21;
pub(super) const CTA_TUPLE_IP: u16 = 1;
pub(super) const CTA_TUPLE_PROTO: u16 = 2;
pub(super) const CTA_PROTO_NUM: u16 = 1;
pub(super) const CTA_PROTO_SRC_PORT: u16 = 2;
pub(super) const CTA_PROTO_DST_PORT: u16 = 3;
pub(super) const CTA_IP_V4_SRC: u16 = 1;
pub(super) const CTA_IP_V4_DST: u16 = 2;
pub(super) const CTA_IP_V6_SRC: u16 = 3;
pub(super) const CTA_IP_V6_DST: u16 = 4;

pub(super) const NFULNL_MSG_PACKET: u8 = 0;
pub(super) const NFULNL_MSG_CONFIG: u8 = 1;
pub(super) const NFULA_CFG_CMD: u16 = 1;
pub(super) const NFULA_CFG_MODE: u16 = 2;
pub(super) const NFULA_CFG_TIMEOUT: u16 = 4;
pub(super) const NFULA_CFG_QTHRESH: u16 = 5;
pub(super) const NFULA_CFG_FLAGS: u16 = 6;
pub(super) const NFULNL_CFG_CMD_BIND: u8 = 1;
pub(super) const NFULNL_COPY_PACKET: u8 = 2;
pub(super) const NFULNL_CFG_F_SEQ: u16 = 0x1;
pub(super) const NFULNL_CFG_F_CONNTRACK: u16 = 0x4;
pub(super) const NFULA_IFINDEX_INDEV: u16 = 4;
pub(super) const NFULA_IFINDEX_OUTDEV: u16 = 5;
pub(super) const NFULA_IFINDEX_PHYSINDEV: u16 = 6;
pub(super) const NFULA_IFINDEX_PHYSOUTDEV: u16 = 7;
pub(super) const NFULA_PAYLOAD: u16 = 9;
pub(super) const NFULA_PREFIX: u16 = 10;
pub(super) const NFULA_SEQ: u16 = 12;
pub(super) const NFULA_CT: u16 = 18;

pub(super) const NFPROTO_UNSPEC: u8 = 0;
pub(super) const NFPROTO_INET: u8 = 1;
pub(super) const NFPROTO_IPV4: u8 = 2;
pub(super) const NFPROTO_BRIDGE: u8 = 7;
pub(super) const NFPROTO_IPV6: u8 = 10;
pub(super) const IPPROTO_HOPOPTS: u8 = 0;
pub(super) const IPPROTO_ICMP: u8 = 1;
pub(super) const IPPROTO_TCP: u8 = 6;
pub(super) const IPPROTO_UDP: u8 = 17;
pub(super) const IPPROTO_ROUTING: u8 = 43;
pub(super) const IPPROTO_FRAGMENT: u8 = 44;
pub(super) const IPPROTO_AH: u8 = 51;
pub(super) const IPPROTO_ICMPV6: u8 = 58;
pub(super) const IPPROTO_DSTOPTS: u8 = 60;
pub(super) const IPPROTO_SCTP: u8 = 132;
pub(super) const ETH_P_IP: u16 = 0x0800;
pub(super) const ETH_P_ARP: u16 = 0x0806;
pub(super) const ETH_P_IPV6: u16 = 0x86dd;
pub(super) const ND_NEIGHBOR_ADVERT: u8 = 136;

impl crate::TableFamily {
    /// `NFPROTO_...`
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Inet => NFPROTO_INET,
            Self::Bridge => NFPROTO_BRIDGE,
        }
    }
}
