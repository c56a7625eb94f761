//! Services.

use std::collections::BTreeSet;
use std::fmt::Arguments;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use palisade_model::{Requirement, Service, ServicePort, TargetPort};

use super::address::{address as parse, net};
use super::port::{number, protocol};
use super::{Problem, Problems, id};
use crate::objects;

/// The Service, and what had to be left out: ports that are not valid, and with a selector that is not valid all pods.
pub fn service(service: &objects::Service) -> (Service, Vec<Problem>) {
    let mut problems = Problems::default();
    let defaults = objects::ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&defaults);
    let selector = spec.selector.as_ref().filter(|selector| !selector.is_empty()).and_then(|selector| {
        let requirements = selector.iter().map(|(key, value)| Requirement::new(key.as_str(), "In", [value.as_str()]));
        problems.keep("spec.selector", requirements.collect::<Result<_, _>>())
    });
    let ports = spec.ports.iter().flatten().enumerate();
    let ports =
        ports.filter_map(|(i, written)| port(written, format_args!("spec.ports[{i}]"), &mut problems)).collect();
    let addresses = addresses(spec, &mut problems);
    (Service { id: id(&service.metadata), selector, ports, addresses }, problems.0)
}

/// A headless Service has none, which is written as `None`.
fn addresses(spec: &objects::ServiceSpec, problems: &mut Problems) -> Vec<IpAddr> {
    let written = spec.cluster_ip.iter().chain(spec.cluster_ips.iter().flatten());
    let written: BTreeSet<&String> = written.filter(|text| !text.is_empty() && *text != "None").collect();
    let known = written.into_iter().filter_map(|text| problems.keep("spec.clusterIPs", parse(text)));
    known.collect()
}

/// The ranges of Services' addresses that are written there, and what had to be left out.
pub fn service_ranges(object: &objects::ServiceCidr) -> (Vec<IpNet>, Vec<Problem>) {
    let mut problems = Problems::default();
    let written = object.spec.iter().flat_map(|spec| spec.cidrs.iter().flatten()).enumerate();
    let ranges = written.filter_map(|(i, text)| problems.keep(format_args!("spec.cidrs[{i}]"), net(text)));
    let ranges = ranges.collect();
    (ranges, problems.0)
}

fn port(written: &objects::ServicePort, at: Arguments<'_>, problems: &mut Problems) -> Option<ServicePort> {
    let protocol = problems.keep(format_args!("{at}.protocol"), protocol(written.protocol.as_deref()));
    let port = problems.keep(format_args!("{at}.port"), number(written.port));
    let target = match &written.target_port {
        // 0 is what the API shows of headless Services without one.
        None | Some(IntOrString::Int(0)) => TargetPort::Number(port?),
        Some(IntOrString::Int(target)) => {
            TargetPort::Number(problems.keep(format_args!("{at}.targetPort"), number(*target))?)
        }
        Some(IntOrString::String(name)) => match name.parse() {
            Ok(number) => TargetPort::Number(number),
            Err(_) => TargetPort::Named(name.as_str().into()),
        },
    };
    let name = written.name.as_deref().filter(|name| !name.is_empty()).map(Into::into);
    Some(ServicePort { name, protocol: protocol?, port: port?, target })
}
