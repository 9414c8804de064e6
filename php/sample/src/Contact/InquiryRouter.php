<?php

declare(strict_types=1);

namespace App\Contact;

use Psr\Log\LoggerInterface;
use Switchyard\Client\RpcException;
use Switchyard\Routing\V1\RouteInquiryRequest;
use Switchyard\Routing\V1\RoutingClientInterface;

/** Asks Switchyard where an inquiry belongs. Nobody's message is refused because there is no answer. */
final class InquiryRouter
{
    private const DEPLOYMENT = 'support';

    public function __construct(private readonly RoutingClientInterface $routing, private readonly LoggerInterface $logger)
    {
    }

    public function route(Inquiry $inquiry): Route
    {
        try {
            return Route::of($this->routing->routeInquiry(new RouteInquiryRequest(
                deployment: self::DEPLOYMENT,
                subject: (string) $inquiry->subject,
                body: (string) $inquiry->body,
                channel: 'web',
                customerId: \hash('sha256', \strtolower((string) $inquiry->email)),
            )));
        } catch (RpcException $e) {
            $this->logger->warning('an inquiry was not routed: {message}', ['message' => $e->getMessage(), 'exception' => $e]);

            return Route::unsorted();
        }
    }
}
