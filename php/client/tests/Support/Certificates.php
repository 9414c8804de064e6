<?php

declare(strict_types=1);

namespace Switchyard\Client\Tests\Support;

/** An authority, a server certificate for 127.0.0.1 and a client certificate; files in PEM. */
final class Certificates
{
    public readonly string $ca;

    private readonly \OpenSSLCertificate $authority;
    private readonly \OpenSSLAsymmetricKey $authorityKey;
    private readonly string $config;
    private int $serial = 1;

    public function __construct(public readonly string $dir)
    {
        $this->config = $dir . '/openssl.cnf';
        \file_put_contents($this->config, "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n"
            . "[server]\nsubjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n[client]\nextendedKeyUsage=clientAuth\n");
        $this->authorityKey = $this->key();
        $csr = \openssl_csr_new(['CN' => 'test authority ' . \basename($dir)], $this->authorityKey, $this->options('ca'));
        $this->authority = \openssl_csr_sign($csr, null, $this->authorityKey, 1, $this->options('ca'), $this->serial);
        \openssl_x509_export_to_file($this->authority, $this->ca = $dir . '/ca.pem');
    }

    /**
     * @param string $kind server or client
     *
     * @return array{string, string} files of the certificate and its key
     */
    public function issue(string $kind): array
    {
        $key = $this->key();
        $csr = \openssl_csr_new(['CN' => $kind], $key, $this->options($kind));
        $certificate = \openssl_csr_sign($csr, $this->authority, $this->authorityKey, 1, $this->options($kind), ++$this->serial);
        \openssl_x509_export_to_file($certificate, "$this->dir/$kind.pem");
        \openssl_pkey_export_to_file($key, "$this->dir/$kind.key", null, $this->options($kind));
        \chmod("$this->dir/$kind.key", 0600);

        return ["$this->dir/$kind.pem", "$this->dir/$kind.key"];
    }

    private function key(): \OpenSSLAsymmetricKey
    {
        return \openssl_pkey_new(['config' => $this->config, 'private_key_bits' => 2048, 'private_key_type' => \OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
    }

    /** @return array<string, string> */
    private function options(string $section): array
    {
        return ['config' => $this->config, 'digest_alg' => 'sha256', 'x509_extensions' => $section];
    }
}
