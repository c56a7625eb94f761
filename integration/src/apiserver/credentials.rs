use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use super::{AGENT_NAMESPACE, ApiError};

/// Who issues ServiceAccount tokens.
pub(super) const ISSUER: &str = "https://kubernetes.default.svc";
/// The administrator's token: a member of `system:masters`.
const ADMIN_TOKEN: &str = "admin-of-a-test";

/// For so many seconds after its end the API server still takes a token.
const LEEWAY: u64 = 60;

/// The keys and certificates of one API server, as files in its directory.
pub(super) struct Credentials {
    directory: PathBuf,
    authority: String,
    signer: EcdsaKeyPair,
    random: SystemRandom,
}

/// The files that tell a client where the API server is and who it is itself.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    path: PathBuf,
    token: PathBuf,
}

/// A ServiceAccount, as its tokens name it.
pub(super) struct Account<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
}

impl Credentials {
    /// Files for a server that is reached at `address`, and through loopback.
    pub(super) fn create(directory: &Path, address: IpAddr) -> Result<Self, ApiError> {
        let authority_key = KeyPair::generate()?;
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key)?.pem();
        let issuer = Issuer::from_params(&params, &authority_key);
        let key = KeyPair::generate()?;
        let names = [address, Ipv4Addr::LOCALHOST.into()].map(|address| address.to_string());
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let accounts_key = KeyPair::generate()?;
        let random = SystemRandom::new();
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &accounts_key.serialize_der(), &random)
            .expect("a key that was just made, of the default kind: P-256");
        let credentials = Self { directory: directory.to_owned(), authority, signer, random };
        credentials.write("server.crt", &certificate.pem())?;
        credentials.write("server.key", &key.serialize_pem())?;
        credentials.write("accounts.key", &accounts_key.serialize_pem())?;
        credentials.write("accounts.pub", &accounts_key.public_key_pem())?;
        credentials.write("tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,system:masters\n"))?;
        Ok(credentials)
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// A token that the API server takes for this account's, until it expires.
    pub(super) fn token(&self, account: &Account<'_>, lifetime: Duration) -> String {
        let Account { namespace, name, uid } = account;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970").as_secs();
        let claims = json!({
            "iss": ISSUER,
            "aud": [ISSUER],
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "iat": now - LEEWAY,
            "nbf": now - LEEWAY,
            "exp": now - LEEWAY + lifetime.as_secs(),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
        });
        let encode = |value: String| URL_SAFE_NO_PAD.encode(value);
        let signed =
            format!("{}.{}", encode(json!({"alg": "ES256", "typ": "JWT"}).to_string()), encode(claims.to_string()));
        let signature = self.signer.sign(&self.random, signed.as_bytes()).expect("the system has randomness");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A kubeconfig called `name` for the holder of `token`, who finds the API server at `server`.
    pub(super) fn kubeconfig(&self, name: &str, server: SocketAddr, token: &str) -> Result<Kubeconfig, ApiError> {
        let path = self.directory.join(format!("{name}.kubeconfig"));
        let kubeconfig = Kubeconfig { token: path.with_extension("token"), path };
        kubeconfig.set_token(token)?;
        let content = self.config(server, &json!({"tokenFile": kubeconfig.token}));
        write(&kubeconfig.path, &content.to_string())?;
        Ok(kubeconfig)
    }

    /// The administrator's configuration.
    pub(super) fn admin(&self, server: SocketAddr) -> kube::config::Kubeconfig {
        let content = self.config(server, &json!({"token": ADMIN_TOKEN}));
        serde_json::from_value(content).expect("a kubeconfig has these fields")
    }

    fn config(&self, server: SocketAddr, user: &serde_json::Value) -> serde_json::Value {
        let authority = base64::engine::general_purpose::STANDARD.encode(&self.authority);
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": AGENT_NAMESPACE}}],
            "clusters": [{
                "name": "test",
                "cluster": {"server": format!("https://{server}"), "certificate-authority-data": authority},
            }],
            "users": [{"name": "test", "user": user}],
        })
    }

    fn write(&self, name: &str, content: &str) -> Result<(), ApiError> {
        write(&self.directory.join(name), content)
    }
}

impl Kubeconfig {
    /// Where it is, for `--kubeconfig`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the token, as the kubelet does in time before one expires.
    pub fn set_token(&self, token: &str) -> Result<(), ApiError> {
        let new = self.token.with_extension("new");
        write(&new, token)?;
        fs::rename(&new, &self.token).map_err(ApiError::io(format!("replace {}", self.token.display())))
    }
}

fn write(path: &Path, content: &str) -> Result<(), ApiError> {
    fs::write(path, content).map_err(ApiError::io(format!("write {}", path.display())))
}
