/**
 * A self-signed certificate for the name db.test, valid until 2126, with its key: for tests of TLS only. Made with
 * openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=db.test
 * -addext subjectAltName=DNS:db.test
 */
export const TEST_CERTIFICATE = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBkDCCATWgAwIBAgIUCtq3Bc3DbNko8XoCugdfjWhZ+TgwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHZGIudGVzdDAgFw0yNjExMjExMDQ4MzNaGA8yMTI2MTAyODEw
NDgzM1owEjEQMA4GA1UEAwwHZGIudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABA4R/HtLljFA324IP0zD4SEgA2Gh/LQoqsGXKMuBODBaze/64p5acUs1QRFV
GHkCw5MhgZhWkrnLFJaHmbatZFujZzBlMB0GA1UdDgQWBBSG3IuxkBrEw1BuT2Jy
jXk5qkzonTAfBgNVHSMEGDAWgBSG3IuxkBrEw1BuT2JyjXk5qkzonTAPBgNVHRMB
Af8EBTADAQH/MBIGA1UdEQQLMAmCB2RiLnRlc3QwCgYIKoZIzj0EAwIDSQAwRgIh
ANPTZ9qfPh8OaGE2/z2PQySzfiWmnS8u90kOWlNDTO4BAiEA1Sx/zbLEErVneFjJ
wQpyRig/ITVs680V9FTOd06r6Tc=
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqMCYky3vFuiT3M5W
lOvwnymUJLMD4BMlp3sQ8344SYGhRANCAAQOEfx7S5YxQN9uCD9Mw+EhIANhofy0
KKrBlyjLgTgwWs3v+uKeWnFLNUERVRh5AsOTIYGYVpK5yxSWh5m2rWRb
-----END PRIVATE KEY-----
`,
};
