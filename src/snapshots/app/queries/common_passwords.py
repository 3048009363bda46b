"""
Very common passwords: hiding their text protects no account.

Selected from lists of SecLists (https://github.com/danielmiessler/SecLists), MIT license, copyright Daniel Miessler.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256

WORDS = """
1 12 123 default ubnt support guest user service system admin1 admin123 root123 test123 oracle postgres mysql ftp
nagios git pi adm aerohive openelec motorola tech supervisor
123456 123456789 12345678 password qwerty123 qwerty1 111111 12345 secret 123123 1234567890 1234567 000000 qwerty
abc123 password1 iloveyou 11111111 dragon monkey 123123123 123321 qwertyuiop 00000000 Password 654321 target123 tinkle
zag12wsx 1g2w3e4r gwerty123 gwerty 666666 1q2w3e4r5t Qwerty123 987654321 1q2w3e4r a123456 1qaz2wsx 121212 abcd1234
asdfghjkl 123456a 88888888 Qwerty123! Qwerty1! 112233 q1w2e3r4t5y6 football zxcvbnm princess Qwerty1 aaaaaa Abcd1234
Password1 sunshine 147258369 Qwerty1234 Qwerty12 123qwe computer baseball 159753 superman azerty dearbook pokemon
michael 1234qwer 1234561 888888 daniel 111222tianya 12345678910 1qaz2wsx3edc 123456789a 123654 P@ssw0rd qwer1234
Qwerty1? 789456123 Qwerty123? q1w2e3r4 shadow 222222 soccer qwe123 7777777 22535 asdasd admin killer testing qazwsx
asdf1234 1314520 555555 12341234 michelle a123456789 charlie liverpool master 123abc 7758521 woaini asdfgh password123
starwars jordan jessica 999999 unknown 1q2w3e 1111111 789456 pakistan 12qwaszx ashley 1111111111 welcome aa123456
jennifer 11223344 thomas 159357 asd123 andrew nicole anthony 147258 trustno1 qwerty12 naruto jonathan hunter 102030
basketball cambiami letmein hello chocolate zinch internet samsung asdfasdf Aa123456 justin passw0rd purple blink182
whatever g_czechout tigger Indya123 samantha joshua alexander hannah qazwsxedc 11111 andrea minecraft matthew changeme
123456! 87654321 jordan23 qq123456 1qazxsw2 william 1234567891 123456123 12344321 buster cookie babygirl butterfly
batman lol123 qwert robert summer amanda 123654789 aaaaaaaa benjamin myspace1 333333 facebook chelsea family hello123
maggie freedom cheese root toor raspberry dietpi test uploader administrator marketing 1234 webadmin webmaster
maintenance techsupport logon Passw@rd alpine mustang harley 2000 hockey ranger klaster george pepper 1111 zxcvbn
131313 777777 pass ginger love biteme access yankees dallas austin thunder taylor matrix corvette martin heather
merlin diamond gfhjkm hammer silver bailey q1w2e3r4t5 patrick scooter orange golfer richard guitar jackson mickey
chicken sparky snoopy maverick phoenix camaro peanut morgan falcon cowboy ferrari smokey joseph mercedes dakota
arsenal eagles melissa boomer spider monster tigers yellow xxxxxx gateway marina diablo bulldog compaq banana junior
porsche money london coffee 0000 miller boston yamaha chester mother forever oliver player knight midnight please
chicago angel flower rabbit wizard enter winner winter crystal golden tiger qazxsw 55555 qwaszx 1990 101010 asdf 1991
black 1992 rocket 1212 qwertyui blue 444444 q1w2e3 123456q 7777 4444 qweqwe 2222 252525 magic 1993 1988 qqqqqq power
abcdef 00000 007007
"""


@cache
def common_passwords() -> Mapping[str, str]:
    """Return very common passwords, also the empty one, by their SHA-256 in hexadecimal."""
    return {sha256(word.encode()).hexdigest(): word for word in ["", *WORDS.split()]}


def public_text(password_hash: str | None, text: str | None) -> str | None:
    """Return the stored text of a password if it may be published, which only very common ones may; else None."""
    return text if password_hash in common_passwords() else None
