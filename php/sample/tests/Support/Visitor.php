<?php

declare(strict_types=1);

namespace App\Tests\Support;

use PHPUnit\Framework\Assert;

/** Somebody with a browser: cookies, and the tokens of the forms. Its requests can run beside those of others in a curl_multi. */
final class Visitor
{
    public readonly \CurlHandle $curl;

    /** @var array<string, string> token by form */
    private array $tokens = [];

    public function __construct(private readonly string $url)
    {
        $this->curl = \curl_init();
        \curl_setopt_array($this->curl, [\CURLOPT_RETURNTRANSFER => true, \CURLOPT_COOKIEFILE => '', \CURLOPT_TIMEOUT => 30]);
    }

    /** Opens a page and remembers the token of its form. */
    public function get(string $path): string
    {
        \curl_setopt_array($this->curl, [\CURLOPT_HTTPGET => true, \CURLOPT_URL => $this->url . $path]);
        $page = (string) \curl_exec($this->curl);
        Assert::assertSame(200, \curl_getinfo($this->curl, \CURLINFO_RESPONSE_CODE), $path . "\n" . $page);
        if (1 === \preg_match('/name="(\w+)\[_token\]" value="([^"]+)"/', $page, $match)) {
            $this->tokens[$match[1]] = $match[2];
        }

        return $page;
    }

    /**
     * Sends a form.
     *
     * @param array<string, string> $fields
     */
    public function post(string $path, string $form, array $fields): string
    {
        $this->prepare($path, $form, $fields);

        return (string) \curl_exec($this->curl);
    }

    /**
     * Makes the form ready to be sent by a curl_multi.
     *
     * @param array<string, string> $fields
     */
    public function prepare(string $path, string $form, array $fields): void
    {
        \curl_setopt_array($this->curl, [
            \CURLOPT_URL => $this->url . $path, \CURLOPT_POST => true,
            \CURLOPT_POSTFIELDS => \http_build_query([$form => $fields + ['_token' => $this->tokens[$form]]]),
        ]);
    }

    public function status(): int
    {
        return (int) \curl_getinfo($this->curl, \CURLINFO_RESPONSE_CODE);
    }

    /** Path of the page that the last answer leads to; empty when it leads nowhere. */
    public function leadsTo(): string
    {
        return \substr((string) \curl_getinfo($this->curl, \CURLINFO_REDIRECT_URL), \strlen($this->url));
    }
}
