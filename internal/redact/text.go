// Package redact masks personal data in texts and in messages of the contracts. What a text holds is found by its form (e-mail addresses, telephone
// numbers, cards, IBANs, IP addresses) and by a list of names; which fields of a message hold what is said by the contract's option `data`.
package redact

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What stands where personal data stood.
const (
	maskEmail = "[email]"
	maskPhone = "[phone]"
	maskCard  = "[card]"
	maskIBAN  = "[iban]"
	maskIP    = "[ip]"
	maskName  = "[name]"
	maskAll   = "[masked]"
)

// Text masks e-mail addresses, telephone numbers, payment card numbers (checked by Luhn's digit), IBANs (checked by their remainder modulo
// 97) and IP addresses. It finds what has a form; names and street addresses have none (see Names), so a redacted text is not anonymous. Where a
// number could be a telephone number it is masked: masking too much costs less than too little.
func Text(s string) string {
	if !strings.ContainsAny(s, "@0123456789:") {
		return s
	}
	var out strings.Builder
	from := 0 // first byte that is not yet written
	for i := 0; i < len(s); {
		mask, start, end := find(s, from, i)
		if mask == "" {
			_, n := utf8.DecodeRuneInString(s[i:])
			i += n
			continue
		}
		if out.Len() == 0 {
			out.Grow(len(s))
		}
		out.WriteString(s[from:start])
		out.WriteString(mask)
		from, i = end, end
	}
	if from == 0 {
		return s
	}
	out.WriteString(s[from:])
	return out.String()
}

// find looks for personal data that begins at i, or, for an e-mail address, whose @ stands there. It reaches back to floor at most.
func find(s string, floor, i int) (mask string, start, end int) {
	c := s[i]
	if c == '@' {
		if start, end, ok := email(s, floor, i); ok {
			return maskEmail, start, end
		}
		return "", 0, 0
	}
	digit, letter := isDigit(c), isLetter(c)
	if !digit && !letter && c != '+' && c != '(' && c != ':' {
		return "", 0, 0
	}
	if letter && !mayBeCode(s[i:]) || i > floor && wordBefore(s[:i]) {
		return "", 0, 0
	}
	if letter || digit || c == ':' {
		if end, ok := ip(s, i); ok {
			return maskIP, i, end
		}
	}
	if letter {
		if end, ok := iban(s, i); ok {
			return maskIBAN, i, end
		}
		return "", 0, 0
	}
	if c == ':' {
		return "", 0, 0
	}
	return number(s, i)
}

// mayBeCode says cheaply, for text that begins with a letter, whether it could be an IBAN or an IPv6 address.
func mayBeCode(s string) bool {
	if len(s) >= 4 && isLetter(s[1]) && isDigit(s[2]) && isDigit(s[3]) {
		return true
	}
	for i := range min(len(s), 5) {
		c := s[i]
		if c == ':' {
			return true
		}
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			break
		}
	}
	return false
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// wordBefore says whether s ends inside a word or number.
func wordBefore(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

func wordAfter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// email reads an address around the @ at position at: a local part, and a domain with at least one dot.
func email(s string, floor, at int) (start, end int, ok bool) {
	start = at
	for start > floor {
		r, n := utf8.DecodeLastRuneInString(s[floor:start])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._%+-'", r) {
			break
		}
		start -= n
	}
	end = at + 1
	dot := -1 // of the last dot with something after it
	for i := end; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			i += n
			end = i
			continue
		case r == '.' && i > at+1 && wordAfter(s[i+1:]):
			dot = i
			i++
			continue
		case r == '-' && wordAfter(s[i+1:]):
			i++
			continue
		}
		break
	}
	return start, end, start < at && dot > 0 && dot < end
}

// ip reads an IPv4 or IPv6 address.
func ip(s string, i int) (end int, ok bool) {
	end = i
	colons, dots, digits := 0, 0, 0
scan:
	for ; end < len(s) && end-i < 46; end++ {
		c := s[end]
		switch {
		case c == ':' && dots > 0: // a port follows
			break scan
		case c == ':':
			colons++
		case c == '.':
			dots++
		case isDigit(c):
			digits++
		case c|0x20 < 'a' || c|0x20 > 'f':
			break scan
		}
	}
	for end > i && (s[end-1] == '.' || s[end-1] == ':' && !strings.HasSuffix(s[i:end], "::")) { // the end of a sentence
		if s[end-1] == '.' {
			dots--
		} else {
			colons--
		}
		end--
	}
	if colons < 2 && dots != 3 || wordAfter(s[end:]) {
		return 0, false
	}
	if digits == 0 { // "::" and "a::b" are valid addresses, and code more often
		return 0, false
	}
	_, err := netip.ParseAddr(s[i:end])
	return end, err == nil
}

// iban reads an IBAN (ISO 13616): two letters, two check digits, 11 to 30 letters and digits, in groups or not.
func iban(s string, i int) (end int, ok bool) {
	const shortest, longest = 15, 34
	var chars [longest]byte
	n := 0
	for j := i; j < len(s) && n < longest; j++ {
		c := s[j]
		if c == ' ' && n > 0 && n%4 == 0 {
			continue
		}
		if !isDigit(c) && !isLetter(c) {
			break
		}
		if n < 2 && !isLetter(c) || n >= 2 && n < 4 && !isDigit(c) {
			return 0, false
		}
		chars[n] = c
		n++
		// The longest valid number wins; a word after it does not make it longer by chance, because the remainder would have to fit.
		if n >= shortest && !wordAfter(s[j+1:]) && ibanValid(chars[:n]) {
			end, ok = j+1, true
		}
	}
	return end, ok
}

// ibanValid checks that the number, with its first four characters moved to the end and letters read as 10 to 35, is 1 modulo 97.
func ibanValid(chars []byte) bool {
	rest := 0
	for k := range chars {
		c := chars[(k+4)%len(chars)]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c|0x20-'a') + 10) % 97
		}
	}
	return rest == 1
}

// number reads digits with the separators that people put between them, and masks them when they are a card or can be a telephone number.
func number(s string, i int) (mask string, start, end int) {
	var digits [32]byte
	n, groups, last := 0, 0, i // last: byte after the last digit
	inGroup := false
	for j := i; j < len(s) && n < len(digits); j++ {
		c := s[j]
		if isDigit(c) {
			if !inGroup {
				groups, inGroup = groups+1, true
			}
			digits[n] = c - '0'
			n++
			last = j + 1
			continue
		}
		if j == i && (c == '+' || c == '(') {
			continue
		}
		if c != ' ' && c != '-' && c != '.' && c != '/' && c != '(' && c != ')' || j-last >= 2 {
			break
		}
		inGroup = false
	}
	if n == 0 || wordAfter(s[last:]) {
		return "", 0, 0
	}
	if n >= 13 && n <= 19 && luhn(digits[:n]) {
		return maskCard, i, last
	}
	c := s[i]
	dialled := c == '+' || c == '(' || c == '0'
	// International, area code in front, or written in groups like a number that is dialled; a date or an amount has fewer digits or groups.
	if n >= 7 && n <= 15 && dialled || n >= 9 && n <= 15 && groups >= 3 {
		return maskPhone, i, last
	}
	return "", 0, 0
}

// luhn checks the check digit of ISO/IEC 7812-1.
func luhn(digits []byte) bool {
	sum := 0
	for k := range digits {
		d := int(digits[len(digits)-1-k])
		if k%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
