<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\Failure\ConfigurationException;

/** Whom to trust, and as whom to appear. Certificates and keys are PEM text, or the path of a file that holds it. */
final class Tls
{
    /**
     * @param string $ca          authorities to trust; empty for those of the system
     * @param string $certificate of this client, for servers that ask for one
     * @param string $key         private key of the certificate
     */
    public function __construct(
        public readonly string $ca = '',
        public readonly string $certificate = '',
        #[\SensitiveParameter]
        public readonly string $key = '',
    ) {
        if (('' === $certificate) !== ('' === $key)) {
            throw new ConfigurationException('TLS: a client certificate needs its key, and a key its certificate');
        }
        foreach (['ca' => $ca, 'certificate' => $certificate, 'key' => $key] as $name => $value) {
            if ('' !== $value && !self::isPem($value) && !\is_readable($value)) {
                throw new ConfigurationException(\sprintf('TLS: %s: cannot read file %s', $name, $value));
            }
        }
    }

    /** @return array<int, mixed> curl options */
    public function options(): array
    {
        $options = [\CURLOPT_SSL_VERIFYPEER => true, \CURLOPT_SSL_VERIFYHOST => 2, \CURLOPT_SSLVERSION => \CURL_SSLVERSION_TLSv1_2];
        foreach ([
            [$this->ca, \CURLOPT_CAINFO_BLOB, \CURLOPT_CAINFO],
            [$this->certificate, \CURLOPT_SSLCERT_BLOB, \CURLOPT_SSLCERT],
            [$this->key, \CURLOPT_SSLKEY_BLOB, \CURLOPT_SSLKEY],
        ] as [$value, $blob, $file]) {
            if ('' !== $value) {
                $options[self::isPem($value) ? $blob : $file] = $value;
            }
        }

        return $options;
    }

    private static function isPem(string $value): bool
    {
        return \str_contains($value, '-----BEGIN ');
    }
}
